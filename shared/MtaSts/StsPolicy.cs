using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace MailPipeline.MtaSts;

/// <summary>What a policy wants of who sends (RFC 8461 §5).</summary>
public enum StsMode
{
    /// <summary>The domain has no policy any more.</summary>
    None = 0,

    /// <summary>What does not match is delivered all the same, and reported.</summary>
    Testing,

    /// <summary>Mail goes to no host that is not named, and to none without a valid certificate.</summary>
    Enforce,
}

/// <summary>The MTA-STS policy of one domain (RFC 8461 §3.2). Nothing of another domain's policy counts for it, whoever its hosts are.</summary>
/// <param name="Id">In the TXT record when it was fetched.</param>
/// <param name="Text">As it was read, in the lines that count.</param>
public sealed record StsPolicy(string Id, StsMode Mode, TimeSpan MaxAge, string Text)
{
    /// <summary>RFC 8461 §3.2: a year.</summary>
    private const long MostSeconds = 31_557_600;

    private const int MaxAgeDigits = 10;

    /// <summary>More than any domain has; each is looked at for each host.</summary>
    private const int MostPatterns = 1000;

    /// <summary>Host names, and names whose first label is "*".</summary>
    public IReadOnlyList<string> Patterns { get; init; } = [];

    /// <summary>A host of this name takes mail of the domain (RFC 8461 §4.1).</summary>
    public bool Names(string host)
    {
        var name = host.TrimEnd('.');
        foreach (var pattern in Patterns)
        {
            // A wildcard stands for one label, the first.
            if (pattern.Equals(name, StringComparison.OrdinalIgnoreCase)
                || (pattern.StartsWith("*.", StringComparison.Ordinal) && name.IndexOf('.', StringComparison.Ordinal) is var dot and > 0
                    && name.AsSpan(dot).Equals(pattern.AsSpan(1), StringComparison.OrdinalIgnoreCase)))
            {
                return true;
            }
        }

        return false;
    }

    // By what it says, and not by the list that was read from it.
    public bool Equals(StsPolicy? other) => other is not null && Id == other.Id && Text == other.Text;

    public override int GetHashCode() => HashCode.Combine(Id, Text);

    /// <summary>Reads a policy file. False, and why: it is none that counts, and no part of it does.</summary>
    public static bool TryParse(string text, string id, [NotNullWhen(true)] out StsPolicy? policy, out string error)
    {
        policy = null;
        Dictionary<string, string> fields = new(StringComparer.Ordinal);
        List<string> patterns = [];
        foreach (var line in text.Split('\n'))
        {
            var field = line.EndsWith('\r') ? line[..^1] : line;
            if (field.Length == 0)
                continue;
            var colon = field.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || !IsKey(field[..colon]) || field.AsSpan().ContainsAnyInRange('\0', '\x08') || field.Contains('\r', StringComparison.Ordinal))
                return Fail("a line of it is no field", out error);
            var (key, value) = (field[..colon], field[(colon + 1)..].Trim(' ', '\t'));
            // RFC 8461 §3.2: of a field that may stand once the first counts.
            if (key == "mx")
                patterns.Add(value);
            else
                fields.TryAdd(key, value);
        }

        if (fields.GetValueOrDefault("version") != "STSv1")
            return Fail("its version is not STSv1", out error);
        if (ModeOf(fields.GetValueOrDefault("mode")) is not { } mode)
            return Fail("its mode is none of enforce, testing and none", out error);
        if (fields.GetValueOrDefault("max_age") is not { Length: > 0 and <= MaxAgeDigits } age
            || !long.TryParse(age, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
        {
            return Fail("its max_age is not a number of seconds", out error);
        }

        if (patterns.Count > MostPatterns)
            return Fail($"it names more than {MostPatterns} hosts", out error);
        if (patterns.Find(pattern => !IsPattern(pattern)) is not null)
            return Fail("it has an mx that is no name of a host", out error);
        if (patterns.Count == 0 && mode != StsMode.None)
            return Fail("it names no host", out error);
        error = "";
        seconds = Math.Min(seconds, MostSeconds);
        var lines = string.Join('\n', patterns.Select(pattern => $"mx: {pattern.ToLowerInvariant()}")
            .Prepend($"mode: {mode.ToString().ToLowerInvariant()}").Prepend("version: STSv1")
            .Append(string.Create(CultureInfo.InvariantCulture, $"max_age: {seconds}")));
        policy = new StsPolicy(id, mode, TimeSpan.FromSeconds(seconds), lines) { Patterns = [.. patterns.Select(pattern => pattern.ToLowerInvariant())] };
        return true;
    }

    private static bool Fail(string why, out string error)
    {
        error = why;
        return false;
    }

    private static StsMode? ModeOf(string? text) => text switch
    {
        "enforce" => StsMode.Enforce,
        "testing" => StsMode.Testing,
        "none" => StsMode.None,
        _ => null,
    };

    // RFC 8461 §3.2: a letter or digit, and up to 31 more with "_", "-" and ".".
    private static bool IsKey(string key) => key.Length <= 32 && char.IsAsciiLetterOrDigit(key[0])
        && key.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-' or '.');

    private static bool IsPattern(string pattern)
    {
        var name = pattern.StartsWith("*.", StringComparison.Ordinal) ? pattern[2..] : pattern;
        return name.Length is > 0 and <= 253 && name.Split('.').All(label =>
            label.Length is > 0 and <= 63 && label[0] != '-' && label[^1] != '-' && label.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_'));
    }
}

/// <summary>The TXT record at "_mta-sts" that says that a domain has a policy, and by its id when it has changed (RFC 8461 §3.1).</summary>
public static class StsRecord
{
    private const string Version = "v=STSv1";

    /// <summary>The id of the one record that there is; null: there is none, more than one, or it cannot be read.</summary>
    public static string? IdIn(IEnumerable<string> texts)
    {
        // RFC 8461 §3.1: what does not begin so is somebody else's.
        var records = texts.Where(text => text.StartsWith(Version, StringComparison.Ordinal)
            && text[Version.Length..].TrimStart(' ', '\t') is [';', ..]).Take(2).ToList();
        if (records is not [var record])
            return null;
        string? id = null;
        foreach (var field in record[Version.Length..].Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = field.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                return null;
            if (field[..equals] == "id")
                id ??= field[(equals + 1)..];
        }

        return id is { Length: > 0 and <= 32 } && id.All(char.IsAsciiLetterOrDigit) ? id : null;
    }
}
