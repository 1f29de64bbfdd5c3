using System.Net;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>What greylisting makes of a recipient.</summary>
internal enum GreylistDecision
{
    /// <summary>They are put off for some time.</summary>
    Defer,

    /// <summary>They came back in time, for the first time.</summary>
    Pass,

    /// <summary>They are known.</summary>
    Known,
}

/// <summary>The rules of greylisting, and who is excepted from them.</summary>
internal sealed class Greylisting(GreylistOptions options)
{
    private readonly ClientNetworks _networks = new(options.ExceptNetworks);

    public GreylistOptions Options { get; } = options;

    /// <summary>It has to be known what the client's address is called.</summary>
    public bool AsksHost => Options.ExceptHosts.Count > 0;

    /// <summary>What becomes of those that were seen, and how long they still have to wait.</summary>
    public (GreylistDecision Decision, TimeSpan Wait) Decide(GreylistEntry? seen, DateTimeOffset now)
    {
        if (seen is null)
            return (GreylistDecision.Defer, Options.Delay);
        if (seen.Passes > 0)
            return (GreylistDecision.Known, TimeSpan.Zero);
        var wait = seen.FirstAt + Options.Delay - now;
        return wait > TimeSpan.Zero ? (GreylistDecision.Defer, wait) : (GreylistDecision.Pass, TimeSpan.Zero);
    }

    /// <summary>So much of its time is over that it is to be kept anew: not with each message.</summary>
    public bool IsToBeKept(DateTimeOffset expiresAt, DateTimeOffset now) => expiresAt - now < Options.Keep - (Options.Keep / 30);

    public bool IsAllowed(GreylistNetwork? network) => Options.AllowNetworkAfter > 0 && network?.Passes >= Options.AllowNetworkAfter;

    public bool IsExcepted(IPAddress client, SmtpAddress? sender, SmtpAddress recipient) =>
        _networks.Contains(client) || PolicyOptions.IsBelow(sender?.Domain ?? "", Options.ExceptSenders) || PolicyOptions.IsBelow(recipient.Domain, Options.ExceptRecipients);

    public bool IsExcepted(ReverseName host) => host.IsBelow(Options.ExceptHosts);

    /// <summary>The network that counts as one client, as it is kept.</summary>
    public string NetworkOf(IPAddress client)
    {
        var network = ClientNetworks.NetworkOf(client, Options.PrefixIPv6);
        if (network.BaseAddress.GetAddressBytes() is not { Length: 4 } bytes)
            return network.ToString();
        for (var bit = Options.PrefixIPv4; bit < 32; bit++)
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return new IPNetwork(new IPAddress(bytes), Options.PrefixIPv4).ToString();
    }
}
