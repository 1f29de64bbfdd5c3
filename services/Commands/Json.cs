using System.Globalization;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;

namespace MailPipeline.Commands;

/// <summary>How values are written as JSON: names in camel case, times in UTC with milliseconds.</summary>
internal static class Json
{
    /// <summary>The name of an enumeration's value: "notDone".</summary>
    public static string Name<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());

    public static string Time(DateTimeOffset time) => time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    public static void WriteTime(this Utf8JsonWriter json, string name, DateTimeOffset? time)
    {
        if (time is { } known)
            json.WriteString(name, Time(known));
        else
            json.WriteNull(name);
    }

    public static void WriteStrings(this Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
            json.WriteStringValue(value);
        json.WriteEndArray();
    }

    /// <summary>An array of objects.</summary>
    public static void WriteAll<T>(this Utf8JsonWriter json, string name, IEnumerable<T> values, Action<T> write)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
        {
            json.WriteStartObject();
            write(value);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    public static void WriteAliases(this Utf8JsonWriter json, string name, IEnumerable<Alias> aliases) =>
        json.WriteAll(name, aliases, json.WriteAlias);

    /// <summary>Its two properties, in an object that is open.</summary>
    public static void WriteAlias(this Utf8JsonWriter json, Alias alias)
    {
        json.WriteString("address", alias.Address);
        json.WriteString("target", alias.Target);
    }

    /// <summary>Why something waits; null when it does not.</summary>
    public static void WriteWait(this Utf8JsonWriter json, string name, WaitReason? wait)
    {
        if (wait is null)
        {
            json.WriteNull(name);
            return;
        }
        json.WriteStartObject(name);
        json.WriteString("reason", WaitWords.Of(wait.Kind));
        json.WriteString("owner", Name(wait.Owner));
        json.WriteTime("until", wait.Until);
        switch (wait)
        {
            case NextAttempt { After: { } last }:
                json.WriteLast("after", last);
                break;
            case DomainLimit limit:
                json.WriteNumber("batches", limit.Batches);
                break;
            case SiteLimit limit:
                json.WriteString("site", limit.Site);
                json.WriteNumber("connections", limit.Connections);
                json.WriteNumber("domains", limit.Domains);
                break;
            case RateLimit { Site.Length: 0 } limit:
                json.WriteString("sender", limit.Sender);
                json.WriteNumber("domains", limit.Domains);
                break;
            case RateLimit limit:
                json.WriteString("site", limit.Site);
                json.WriteNumber("domains", limit.Domains);
                break;
            case NoWorker missing:
                json.WriteString("endpoint", missing.Endpoint);
                json.WriteBoolean("busRefuses", missing.BusRefuses);
                json.WriteTime("since", missing.Since);
                break;
            case BacksOff backsOff:
                json.WriteTime("backoffUntil", backsOff.BackoffUntil);
                json.WriteString("cause", backsOff.Cause);
                break;
            case Paused paused:
                json.WriteTime("since", paused.Since);
                json.WriteString("operator", paused.Operator);
                break;
            case HeldByOperator held:
                json.WriteTime("since", held.Since);
                json.WriteString("operator", held.Operator);
                if (held.Rule.Length == 0)
                    break;
                json.WriteString("rule", held.Rule);
                json.WriteString("why", held.Why);
                break;
            case Suspended suspended:
                json.WriteTime("since", suspended.Since);
                json.WriteString("operator", suspended.Operator);
                json.WriteString("rule", suspended.Rule);
                json.WriteString("why", suspended.Why);
                break;
            case HeldBySystem held:
                json.WriteTime("since", held.Since);
                json.WriteString("cause", held.Cause);
                break;
        }
        json.WriteEndObject();
    }

    /// <summary>What the last attempt came to; null where there was none.</summary>
    public static void WriteLast(this Utf8JsonWriter json, string name, LastAttempt? last)
    {
        if (last is null)
        {
            json.WriteNull(name);
            return;
        }
        json.WriteStartObject(name);
        json.WriteString("status", last.Status);
        json.WriteString("reply", last.Reply);
        json.WriteString("host", last.Host);
        json.WriteEndObject();
    }
}
