using System.Net;
using System.Text.RegularExpressions;
using MailPipeline.LineServer;

namespace MailPipeline.Ingress.Checks;

/// <summary>How much of something one of them may do in a time. Section "Limits:N" of the policy.</summary>
public sealed partial class LimitOptions
{
    /// <summary>In the log, in metrics and in the list of bans; the client does not hear it.</summary>
    public string Name { get; set; } = "";

    /// <summary>Whose it is.</summary>
    public LimitOf Of { get; set; }

    /// <summary>What is counted.</summary>
    public LimitWhat What { get; set; }

    /// <summary>So many at once, from who has done nothing for the window.</summary>
    public int Count { get; set; }

    /// <summary>The time in which as many come back, evenly.</summary>
    public TimeSpan Window { get; set; }

    /// <summary>The listeners on which it is counted. Default All.</summary>
    public ListenerSet Listeners { get; set; } = ListenerKinds.All;

    /// <summary>How long the client network is banned that has used it up; 0: it is not. Default 0.</summary>
    public TimeSpan Ban { get; set; }

    /// <summary>Addresses and networks (CIDR) of clients that a limit of Network or SenderDomain is not about. Default: none.</summary>
    public IList<string> ExceptNetworks { get; init; } = [];

    /// <summary>
    /// Domains, with those below them, of clients that a limit is not about either, by the name of their address where that has the address. Default: none, and nobody asks for names.
    /// </summary>
    public IList<string> ExceptHosts { get; init; } = [];

    private ClientNetworks Excepted => field ??= new(ExceptNetworks);

    internal bool IsExcepted(IPAddress client) => Excepted.Contains(client);

    /// <summary>It has to be known what the client's address is called.</summary>
    internal bool AsksHost => ExceptHosts.Count > 0 && (Of is LimitOf.Network or LimitOf.SenderDomain);

    internal bool IsExcepted(ReverseName host) => host.IsBelow(ExceptHosts);

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        if (!NameForm().IsMatch(Name))
            failures.Add($"{setting}:Name is '{Name}'; it must be 1 to 40 letters, digits, '-', '.' and '_'");
        Listeners.Validate($"{setting}:Listeners", listeners, failures);
        if (!Enum.IsDefined(Of))
            failures.Add($"{setting}:Of is {(Of == 0 ? "not set" : Of)}; it must be one of {string.Join(", ", Enum.GetNames<LimitOf>())}");
        else if (!Enum.IsDefined(What))
            failures.Add($"{setting}:What is {(What == 0 ? "not set" : What)}; it must be one of {string.Join(", ", Enum.GetNames<LimitWhat>())}");
        else if (Array.IndexOf(AllowedOf(What), Of) < 0)
            failures.Add($"{setting}:Of is {Of}, and {setting}:What is {What}; of that it must be one of {string.Join(", ", AllowedOf(What))}");
        if (Count is < 1 or > 1_000_000_000)
            failures.Add($"{setting}:Count is {Count}; it must be 1 to 1000000000");
        PolicyOptions.RequireTime($"{setting}:Window", Window, TimeSpan.FromSeconds(1), TimeSpan.FromDays(31), failures);
        PolicyOptions.RequireTime($"{setting}:Ban", Ban, TimeSpan.Zero, TimeSpan.FromDays(366), failures);
        if (Ban > TimeSpan.Zero && Of != LimitOf.Network)
            failures.Add($"{setting}:Ban is {Ban}, and {setting}:Of is {Of}; only a Network is banned");
        PolicyOptions.RequireNetworks($"{setting}:{nameof(ExceptNetworks)}", ExceptNetworks, failures);
        PolicyOptions.RequireDomains($"{setting}:{nameof(ExceptHosts)}", ExceptHosts, failures);
    }

    // Before MAIL nobody has said for whom he sends; a listener that is shut because many fail is shut for those who do not.
    private static LimitOf[] AllowedOf(LimitWhat what) => what switch
    {
        LimitWhat.Connections => [LimitOf.Network, LimitOf.Listener],
        LimitWhat.FailedCommands or LimitWhat.FailedLogins => [LimitOf.Network, LimitOf.Account],
        _ => [LimitOf.Network, LimitOf.Account, LimitOf.SenderDomain, LimitOf.Listener],
    };

    [GeneratedRegex(@"^[A-Za-z0-9._-]{1,40}\z")]
    private static partial Regex NameForm();
}

/// <summary>Whose something is.</summary>
public enum LimitOf
{
    /// <summary>Of a client network (an IPv4 address, or PrefixIPv6 bits of IPv6) that has not logged in and is not listed.</summary>
    Network = 1,

    /// <summary>Of an account that has logged in; of FailedLogins, that somebody wants to log in to.</summary>
    Account,

    /// <summary>Of the domain of the reverse-path, in a stranger's mouth.</summary>
    SenderDomain,

    /// <summary>Of a kind of listener, or of the one that the limit names, whoever comes there.</summary>
    Listener,
}

/// <summary>What is counted.</summary>
public enum LimitWhat
{
    Connections = 1,

    /// <summary>MAIL that is taken.</summary>
    Messages,

    /// <summary>RCPT that is taken.</summary>
    Recipients,

    /// <summary>Commands and contents that are refused for good (5xx). Who has used them up is not served when he comes again.</summary>
    FailedCommands,

    /// <summary>Credentials that are refused. Who has used them up is not listened to.</summary>
    FailedLogins,
}
