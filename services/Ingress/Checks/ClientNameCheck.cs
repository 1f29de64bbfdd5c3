using System.Net;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// The argument of EHLO and HELO, as far as it can be judged by itself: one of our own names in a stranger's mouth is a lie, and a name
/// without a domain is nobody's. Whether the name belongs to the client's address is not asked: nobody may be refused for that
/// (RFC 5321 §4.1.4).
/// </summary>
internal sealed class ClientNameCheck(IOptions<IngressOptions> options) : ICheck
{
    public const string ForgedTag = "client-name-forged";
    public const string UnqualifiedTag = "client-name-unqualified";

    private readonly ClientNameOptions _options = options.Value.Checks.ClientName;
    private readonly Verdict _forged = Judge(options.Value.Checks.ClientName.Forged, ForgedTag, Replies.C550ForgedClientName);
    private readonly Verdict _unqualified = Judge(options.Value.Checks.ClientName.Unqualified, UnqualifiedTag, Replies.C550UnqualifiedClientName);
    private readonly HashSet<string> _ownNames = new([options.Value.HostName, .. options.Value.Checks.ClientName.OwnNames], StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<IPAddress> _ownAddresses = AddressesAmong([options.Value.HostName, .. options.Value.Checks.ClientName.OwnNames]);

    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        // Who may relay is known to the operator, and this machine may call itself by its name.
        if (context.MayRelay || context.IsLocalClient)
            return new(Verdict.GoOn);
        if (_options.Forged != NamePolicy.Accept && IsOurs(context.ClientName, context.Local))
            return new(_forged);
        return new(IsQualified(context.ClientName) ? Verdict.GoOn : _unqualified);
    }

    /// <summary>An address is ours however it is written, and without the brackets of a literal too.</summary>
    private bool IsOurs(string name, IPAddress? local)
    {
        if (!HostAddress.TryParseLiteral(name, out var address))
            return _ownNames.Contains(name.TrimEnd('.'));
        address = HostAddress.Plain(address);
        return _ownAddresses.Contains(address) || (local is not null && address.Equals(HostAddress.Plain(local)));
    }

    private static HashSet<IPAddress> AddressesAmong(IEnumerable<string> names)
    {
        var addresses = new HashSet<IPAddress>();
        foreach (var name in names)
        {
            if (HostAddress.TryParseLiteral(name, out var address))
                addresses.Add(HostAddress.Plain(address));
        }

        return addresses;
    }

    /// <summary>RFC 5321 §2.3.5: a domain name has a dot in it, and an address stands in brackets.</summary>
    private static bool IsQualified(string name) =>
        SmtpAddress.TryParse($"x@{name}", out _) && (name.StartsWith('[') || (name.TrimEnd('.').Contains('.') && !HostAddress.TryParse(name, out _)));

    private static Verdict Judge(NamePolicy policy, string tag, SmtpReply reply) => policy switch
    {
        NamePolicy.Refuse => new(reply),
        NamePolicy.Tag => Verdict.Noting(new MessageNote { Tags = [tag], Fields = [HeaderField.OfTag(tag)] }),
        _ => Verdict.GoOn,
    };
}
