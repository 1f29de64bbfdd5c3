using System.Globalization;
using System.Text;
using System.Text.Json;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Filters;

/// <summary>What Rspamd says of a message (/checkv2), and what becomes of it by that.</summary>
internal static class RspamdReply
{
    /// <summary>Some hundred symbols are some tens of KiB.</summary>
    public const int MaxBytes = 1024 * 1024;

    /// <summary>Symbols that are named in the field.</summary>
    private const int MaxSymbols = 100;

    /// <summary>Fields of one name that are removed.</summary>
    private const uint MaxRemoved = 20;

    private const int LineLength = 76;

    /// <exception cref="JsonException">It is no such answer.</exception>
    /// <exception cref="MilterFaultException">It wants what no filter may.</exception>
    public static FilterAnswer Read(ReadOnlyMemory<byte> json, string filter, bool changesHeaders, FilterChanges changes)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("action", out var named) || named.GetString() is not { } action)
            throw new JsonException("it names no action");
        AddFields(root, changesHeaders, changes);
        changes.AddField("X-Spam-Status", Status(root, action), isOnTop: true);
        switch (action)
        {
            case "no action":
                return FilterAnswer.GoOn;
            case "add header" or "rewrite subject":
                // The subject stays as it came.
                changes.AddField("X-Spam-Flag", "YES", isOnTop: true);
                return FilterAnswer.GoOn;
            case "greylist" or "soft reject":
                return FilterAnswer.Refusing(Replies.C451FilterDefers);
            case "reject":
                return FilterAnswer.Refusing(Replies.C550FilterRefuses);
            case "quarantine":
                changes.Hold(filter, action);
                return FilterAnswer.GoOn;
            case "discard":
                return new FilterAnswer(FilterVerdict.Discard);
            default:
                throw new JsonException($"it names the action '{PlainText.Ascii(PlainText.Cut(action, 40))}'");
        }
    }

    /// <summary>What its modules want to have in front of the message, such as results and signatures.</summary>
    private static void AddFields(JsonElement root, bool changesHeaders, FilterChanges changes)
    {
        if (!root.TryGetProperty("milter", out var milter) || milter.ValueKind != JsonValueKind.Object)
            return;
        if (milter.TryGetProperty("remove_headers", out var removed) && removed.ValueKind == JsonValueKind.Object)
        {
            // "0" is all of them; the last one first, so that each keeps its place until it is its turn.
            foreach (var field in removed.EnumerateObject())
            {
                var isOne = field.Value.ValueKind == JsonValueKind.Number && field.Value.TryGetInt32(out var number) && number > 0;
                if (isOne || !changesHeaders)
                    changes.ChangeField(field.Name, isOne ? field.Value.GetUInt32() : 1, "", changesHeaders);
                for (var place = MaxRemoved; place > 0 && !isOne && changesHeaders; place--)
                    changes.ChangeField(field.Name, place, "", changesHeaders);
            }
        }

        if (!milter.TryGetProperty("add_headers", out var added) || added.ValueKind != JsonValueKind.Object)
            return;
        foreach (var field in added.EnumerateObject())
        {
            foreach (var value in field.Value.ValueKind == JsonValueKind.Array ? field.Value.EnumerateArray().ToArray() : [field.Value])
            {
                var text = value.ValueKind == JsonValueKind.Object && value.TryGetProperty("value", out var inner) ? inner : value;
                if (text.ValueKind == JsonValueKind.String)
                    changes.AddField(field.Name, text.GetString()!, isOnTop: true);
            }
        }
    }

    /// <summary>"add header, score=7.0 required=15.0 symbols=A(5.0),B(2.0)", folded.</summary>
    private static string Status(JsonElement root, string action)
    {
        var words = new List<string> { $"{PlainText.Ascii(action)},", $"score={Number(root, "score")}", $"required={Number(root, "required_score")}" };
        if (root.TryGetProperty("symbols", out var symbols) && symbols.ValueKind == JsonValueKind.Object)
        {
            var named = symbols.EnumerateObject().Take(MaxSymbols).Select(symbol =>
                $"{PlainText.Ascii(PlainText.Cut(symbol.Name, 60)).Replace(' ', '_')}({Number(symbol.Value, "score")})").ToList();
            for (var i = 0; i < named.Count; i++)
                words.Add($"{(i == 0 ? "symbols=" : "")}{named[i]}{(i < named.Count - 1 ? "," : "")}");
        }

        var text = new StringBuilder();
        var line = "X-Spam-Status:".Length;
        foreach (var word in words)
        {
            var isFolded = line + 1 + word.Length > LineLength;
            if (text.Length > 0)
                text.Append(isFolded ? "\r\n\t" : " ");
            line = isFolded ? word.Length + 8 : line + 1 + word.Length;
            text.Append(word);
        }

        return text.ToString();
    }

    private static string Number(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var number) && number.TryGetDouble(out var value)
            ? value.ToString("0.0#", CultureInfo.InvariantCulture) : "0.0";
}
