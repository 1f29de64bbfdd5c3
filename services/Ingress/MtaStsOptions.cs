using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress;

/// <summary>The MTA-STS policy of our own domains (RFC 8461), which the HTTP port serves. Section "Ingress:MtaSts".</summary>
public sealed class MtaStsOptions
{
    private static readonly TimeSpan s_shortest = TimeSpan.FromHours(1);

    // RFC 8461 §3.2
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(31_557_600);

    /// <summary>Default: Off, nothing is served.</summary>
    public MtaStsMode Mode { get; set; }

    /// <summary>How long who has fetched it holds us to it. Default: 7 days; RFC 8461 §3.2 allows a year, and wants weeks once it is tried out.</summary>
    public TimeSpan MaxAge { get; set; } = TimeSpan.FromDays(7);

    /// <summary>Names of the MX of our domains, also with "*" as the first label. Default: <see cref="IngressOptions.HostName"/>.</summary>
    public TextList Mx { get; set; } = [];

    internal void Validate(string setting, List<string> failures)
    {
        if (MaxAge < s_shortest || MaxAge > s_longest)
            failures.Add($"{setting}:MaxAge is {MaxAge}; it must be {s_shortest} to {s_longest}");
        foreach (var mx in Mx.Where(mx => !SmtpAddress.TryParse($"x@{(mx.StartsWith("*.", StringComparison.Ordinal) ? mx[2..] : mx)}", out var name) || name!.HasAddressLiteral))
            failures.Add($"{setting}:Mx has '{mx}'; it must be the name of a host such as mx.example.org, or *.example.org for all names of one label before it");
    }
}

/// <summary>What our policy wants of who sends to us.</summary>
public enum MtaStsMode
{
    /// <summary>There is no policy.</summary>
    Off = 0,

    /// <summary>There is none any more: who has fetched one before forgets it.</summary>
    None,

    /// <summary>What does not match is delivered all the same, and reported.</summary>
    Testing,

    /// <summary>Mail comes to no host that is not named, and to none without a valid certificate.</summary>
    Enforce,
}
