using System.Globalization;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>What a domain asks to be done with mail that is not its own (RFC 7489 §6.3).</summary>
public enum DmarcPolicy
{
    None,
    Quarantine,
    Reject,
}

/// <summary>Where reports go (RFC 7489 §6.2).</summary>
/// <param name="Address">A URI, in use "mailto:" alone.</param>
/// <param name="MaxBytes">Of a report; null: any size.</param>
public readonly record struct DmarcReportUri(string Address, long? MaxBytes);

/// <summary>A DMARC record (RFC 7489 §6.3), with the tags that DMARCbis adds. What is wrong in it counts as not said, but for p.</summary>
public sealed record DmarcRecord
{
    private const string Version = "DMARC1";

    private DmarcRecord(string text) => Text = text;

    /// <summary>As it is published.</summary>
    public string Text { get; }

    public DmarcPolicy Policy { get; private init; }

    /// <summary>sp: of names below; null: as p.</summary>
    public DmarcPolicy? SubdomainPolicy { get; private init; }

    /// <summary>np: of names below that are not there (DMARCbis); null: as sp.</summary>
    public DmarcPolicy? NonexistentPolicy { get; private init; }

    /// <summary>adkim: only the very domain will do.</summary>
    public bool IsDkimStrict { get; private init; }

    /// <summary>aspf: the same of SPF.</summary>
    public bool IsSpfStrict { get; private init; }

    /// <summary>pct: of how many messages in a hundred it is asked (not in DMARCbis).</summary>
    public int Percent { get; private init; } = 100;

    /// <summary>t: the policy is asked for one step milder (DMARCbis).</summary>
    public bool IsTesting { get; private init; }

    /// <summary>psd: true for a public suffix, false for an organisation's own domain (DMARCbis); null: it does not say.</summary>
    public bool? IsPublicSuffix { get; private init; }

    /// <summary>rua</summary>
    public IReadOnlyList<DmarcReportUri> AggregateReports { get; private init; } = [];

    /// <summary>fo: of which failures single reports are wanted, as it is written.</summary>
    public string FailureOptions { get; private init; } = "0";

    /// <summary>What is wrong in it, in words; empty: nothing.</summary>
    public IReadOnlyList<string> Faults { get; private init; } = [];

    /// <summary>RFC 7489 §6.3: the version comes first, and in this case of letters.</summary>
    public static bool IsOne(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var end = text.IndexOf(';', StringComparison.Ordinal);
        var (name, value) = Split(end < 0 ? text : text[..end]);
        return name == "v" && value == Version;
    }

    /// <summary>Null: it says nothing that can be done (RFC 7489 §6.6.3, 6).</summary>
    /// <param name="text">For which <see cref="IsOne"/> is true.</param>
    public static DmarcRecord? Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var faults = new List<string>();
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var tag in text.Split(';').Skip(1).Where(tag => !string.IsNullOrWhiteSpace(tag)))
        {
            var (name, value) = Split(tag);
            if (value is null || !tags.TryAdd(name, value))
                faults.Add($"'{tag.Trim()}' is no tag, or one that is there twice");
        }

        var reports = UrisOf(tags.GetValueOrDefault("rua", ""), faults);
        var (policy, isPolicyWrong) = PolicyOf(tags, "p", faults);
        var (subdomains, isSubdomainWrong) = PolicyOf(tags, "sp", faults);
        if (policy is null || isPolicyWrong || isSubdomainWrong)
        {
            // RFC 7489 §6.6.3: who wants reports is taken to want no more.
            if (policy is null && !isPolicyWrong)
                faults.Add("there is no p");
            if (reports.Count == 0)
                return null;
            (policy, subdomains) = (DmarcPolicy.None, null);
        }

        return new DmarcRecord(text)
        {
            Policy = policy.Value,
            SubdomainPolicy = subdomains,
            NonexistentPolicy = PolicyOf(tags, "np", faults).Policy,
            IsDkimStrict = Choice(tags, "adkim", "r", ["r", "s"], faults) == "s",
            IsSpfStrict = Choice(tags, "aspf", "r", ["r", "s"], faults) == "s",
            Percent = PercentOf(tags, faults),
            IsTesting = Choice(tags, "t", "n", ["n", "y"], faults) == "y",
            IsPublicSuffix = Choice(tags, "psd", "u", ["u", "y", "n"], faults) switch { "y" => true, "n" => false, _ => null },
            AggregateReports = reports,
            FailureOptions = tags.GetValueOrDefault("fo", "0"),
            Faults = faults,
        };
    }

    private static (string Name, string? Value) Split(string tag)
    {
        var equals = tag.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? (tag.Trim(), null) : (tag[..equals].Trim().ToLowerInvariant(), tag[(equals + 1)..].Trim());
    }

    private static (DmarcPolicy? Policy, bool IsWrong) PolicyOf(Dictionary<string, string> tags, string name, List<string> faults)
    {
        if (!tags.TryGetValue(name, out var value))
            return (null, false);
        DmarcPolicy? policy = value.ToLowerInvariant() switch
        {
            "none" => DmarcPolicy.None,
            "quarantine" => DmarcPolicy.Quarantine,
            "reject" => DmarcPolicy.Reject,
            _ => null,
        };
        if (policy is null)
            faults.Add($"{name} is '{value}', and must be none, quarantine or reject");
        return (policy, policy is null);
    }

    private static string Choice(Dictionary<string, string> tags, string name, string usual, string[] choices, List<string> faults)
    {
        if (!tags.TryGetValue(name, out var value))
            return usual;
        if (choices.Contains(value.ToLowerInvariant()))
            return value.ToLowerInvariant();
        faults.Add($"{name} is '{value}', and must be one of {string.Join(", ", choices)}");
        return usual;
    }

    private static int PercentOf(Dictionary<string, string> tags, List<string> faults)
    {
        if (!tags.TryGetValue("pct", out var value))
            return 100;
        if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var percent) && percent <= 100)
            return percent;
        faults.Add($"pct is '{value}', and must be 0 to 100");
        return 100;
    }

    // RFC 7489 §6.4, dmarc-uri: "mailto:dmarc@example.org!10m".
    private static List<DmarcReportUri> UrisOf(string value, List<string> faults)
    {
        var uris = new List<DmarcReportUri>();
        foreach (var text in value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var mark = text.IndexOf('!', StringComparison.Ordinal);
            var (address, size) = mark < 0 ? (text, "") : (text[..mark], text[(mark + 1)..]);
            if (Uri.TryCreate(address, UriKind.Absolute, out _) && TryReadSize(size, out var bytes))
                uris.Add(new DmarcReportUri(address, bytes));
            else
                faults.Add($"'{text}' is no address for reports");
        }

        return uris;
    }

    private static bool TryReadSize(string size, out long? bytes)
    {
        bytes = null;
        if (size.Length == 0)
            return true;
        var factor = char.ToLowerInvariant(size[^1]) switch { 'k' => 1L << 10, 'm' => 1L << 20, 'g' => 1L << 30, 't' => 1L << 40, _ => 1 };
        if (!int.TryParse(factor == 1 ? size : size[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            return false;
        // 2^31 t is more than a number of 64 bits holds.
        bytes = number <= long.MaxValue / factor ? number * factor : long.MaxValue;
        return true;
    }
}
