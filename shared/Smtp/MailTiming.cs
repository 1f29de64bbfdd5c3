using System.Globalization;

namespace MailPipeline.Smtp;

/// <summary>What MAIL says about the time at which a message travels, and before which others.</summary>
public sealed record MailTiming
{
    public static readonly MailTiming None = new();

    /// <summary>HOLDFOR or HOLDUNTIL (RFC 4865); null: it travels at once.</summary>
    public ReleaseRequest? Release { get; init; }

    /// <summary>MT-PRIORITY (RFC 6710), from -9 to 9, the highest first; null: nothing was said, which counts as 0.</summary>
    public int? Priority { get; init; }

    /// <summary>BY (RFC 2852); null: any time is right.</summary>
    public DeliverBy? By { get; init; }

    /// <summary>A host that knows of it is to be told.</summary>
    public bool IsHandedOn => Priority is not null || By is not null;

    /// <summary>The text that storage keeps; empty where nothing was said.</summary>
    public string ToText() => string.Join(' ', new[]
    {
        Release is { } release ? string.Create(CultureInfo.InvariantCulture, $"RELEASE={release.At.ToUnixTimeMilliseconds()},{release.Asked}") : "",
        PriorityParameter,
        By is { } by ? string.Create(CultureInfo.InvariantCulture, $"BY={by.At.ToUnixTimeMilliseconds()};{by.Mode}") : "",
    }.Where(part => part.Length > 0));

    /// <summary>The parameters of MAIL for a host that offers this, as of now; empty where it has to be told nothing.</summary>
    public string ParametersFor(EhloCapabilities capabilities, DateTimeOffset now) => string.Join(' ', new[]
    {
        capabilities.MtPriority ? PriorityParameter : "",
        By is { } by && capabilities.DeliverBy ? string.Create(CultureInfo.InvariantCulture, $"BY={by.SecondsLeft(now)};{by.Mode}") : "",
    }.Where(part => part.Length > 0));

    private string PriorityParameter => Priority is { } priority ? string.Create(CultureInfo.InvariantCulture, $"MT-PRIORITY={priority}") : "";

    /// <summary>Reads what <see cref="ToText"/> wrote.</summary>
    /// <exception cref="FormatException">It is none of that.</exception>
    public static MailTiming Parse(string text)
    {
        var read = None;
        foreach (var part in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var (keyword, value) = Divide(part, '=');
            read = keyword switch
            {
                "RELEASE" when Divide(value, ',') is var (at, asked) => read with { Release = new ReleaseRequest(asked, Time(at)) },
                "MT-PRIORITY" => read with { Priority = int.Parse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) },
                "BY" when Divide(value, ';') is (var at, { Length: > 0 } mode) => read with { By = new DeliverBy(Time(at), mode[0] == 'R', mode.EndsWith('T')) },
                _ => throw new FormatException($"Says nothing of the time of a message: {PlainText.Of(part)}"),
            };
        }

        return read;
    }

    private static (string Before, string Behind) Divide(string text, char at) =>
        text.IndexOf(at, StringComparison.Ordinal) is var end and >= 0 ? (text[..end], text[(end + 1)..]) : (text, "");

    private static DateTimeOffset Time(string milliseconds) =>
        DateTimeOffset.FromUnixTimeMilliseconds(long.Parse(milliseconds, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture));
}

/// <summary>The sender wants the message to leave no earlier than at a time (RFC 4865).</summary>
/// <param name="Asked">In the words of reports: "for;3600", or "until;2030-01-02T12:00:00Z" as the client wrote it.</param>
/// <param name="At">That time by our clock.</param>
public sealed record ReleaseRequest(string Asked, DateTimeOffset At);

/// <summary>The sender wants the message to be delivered by a time (RFC 2852).</summary>
/// <param name="IsReturned">What is not delivered by then is returned (R); else the sender is told, and it goes on (N).</param>
/// <param name="IsTraced">The sender is told of each host that takes it (T).</param>
public sealed record DeliverBy(DateTimeOffset At, bool IsReturned, bool IsTraced)
{
    /// <summary>RFC 2852 §4: nine digits.</summary>
    public const long MostSeconds = 999_999_999;

    public string Mode => (IsReturned ? "R" : "N") + (IsTraced ? "T" : "");

    /// <summary>Whole seconds up to that time; 0 or less when it has passed.</summary>
    public long SecondsLeft(DateTimeOffset now) => Math.Clamp((long)Math.Floor((At - now).TotalSeconds), -MostSeconds, MostSeconds);
}
