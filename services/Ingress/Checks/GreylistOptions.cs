using MailPipeline.LineServer;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>Whether strangers are put off at first sight (RFC 6647). Section "Greylisting" of the policy.</summary>
public sealed class GreylistOptions
{
    /// <summary>The listeners on which it is done. Default Mx.</summary>
    public ListenerSet Listeners { get; set; } = ListenerKinds.Mx;

    /// <summary>How long client network, sender and recipient are put off when they are seen together for the first time; 0: they are not. Default 0.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>How long after that they may come back; later it is the first time again. Default 2 days, as postgrey's.</summary>
    public TimeSpan RetryWithin { get; set; } = TimeSpan.FromDays(2);

    /// <summary>How long those are known that came back in time, from when they came last. Default 36 days: more than a month's letter takes.</summary>
    public TimeSpan Keep { get; set; } = TimeSpan.FromDays(36);

    /// <summary>
    /// So many of a client network that came back in time, and nobody from there is put off any more, while somebody comes within
    /// <see cref="Keep"/>; 0: never. Default 5, as postgrey's.
    /// </summary>
    public int AllowNetworkAfter { get; set; } = 5;

    /// <summary>
    /// So many that were seen together are kept; while there are as many, who is not among them is let in, and is not kept. Default 1,000,000.
    /// </summary>
    public int MaxRows { get; set; } = 1_000_000;

    /// <summary>Bits of an IPv4 address that name a client network. Default 24: large senders try again from a neighbour.</summary>
    public int PrefixIPv4 { get; set; } = 24;

    /// <summary>Bits of an IPv6 address that name a client network. Default 64.</summary>
    public int PrefixIPv6 { get; set; } = 64;

    /// <summary>Addresses and networks (CIDR) of clients that are never put off. Default: none.</summary>
    public IList<string> ExceptNetworks { get; init; } = [];

    /// <summary>Domains, with those below them, of clients by the name of their address where that has the address. Default: none.</summary>
    public IList<string> ExceptHosts { get; init; } = [];

    /// <summary>Domains, with those below them, of senders, which anybody may claim. Default: none.</summary>
    public IList<string> ExceptSenders { get; init; } = [];

    /// <summary>Domains, with those below them, of recipients, for whom nobody is put off. Default: none.</summary>
    public IList<string> ExceptRecipients { get; init; } = [];

    internal bool IsOn => Delay > TimeSpan.Zero && !Listeners.IsNone;

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        Listeners.Validate($"{setting}:Listeners", listeners, failures);
        PolicyOptions.RequireTime($"{setting}:Delay", Delay, TimeSpan.Zero, TimeSpan.FromHours(12), failures);
        PolicyOptions.RequireTime($"{setting}:RetryWithin", RetryWithin, TimeSpan.FromMinutes(1), TimeSpan.FromDays(30), failures);
        PolicyOptions.RequireTime($"{setting}:Keep", Keep, TimeSpan.FromMinutes(1), TimeSpan.FromDays(400), failures);
        if (Delay >= RetryWithin)
            failures.Add($"{setting}:Delay is {Delay}; it must be less than {setting}:RetryWithin, which is {RetryWithin}");
        RequireNumber(nameof(AllowNetworkAfter), AllowNetworkAfter, 0, 1_000_000);
        RequireNumber(nameof(MaxRows), MaxRows, 1, 10_000_000);
        RequireNumber(nameof(PrefixIPv4), PrefixIPv4, 8, 32);
        RequireNumber(nameof(PrefixIPv6), PrefixIPv6, 16, 128);
        PolicyOptions.RequireNetworks($"{setting}:{nameof(ExceptNetworks)}", ExceptNetworks, failures);
        PolicyOptions.RequireDomains($"{setting}:{nameof(ExceptHosts)}", ExceptHosts, failures);
        PolicyOptions.RequireDomains($"{setting}:{nameof(ExceptSenders)}", ExceptSenders, failures);
        PolicyOptions.RequireDomains($"{setting}:{nameof(ExceptRecipients)}", ExceptRecipients, failures);

        void RequireNumber(string name, int number, int least, int most)
        {
            if (number < least || number > most)
                failures.Add($"{setting}:{name} is {number}; it must be {least} to {most}");
        }
    }
}
