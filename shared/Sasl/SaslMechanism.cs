using System.Text;

namespace MailPipeline.Sasl;

/// <summary>One way of logging in: a row of the table of all that there are. Listeners offer some of them.</summary>
public sealed class SaslMechanism
{
    private readonly Func<IReadOnlyList<ChannelBinding>, SaslDialogue> _begin;

    private SaslMechanism(string name, Func<IReadOnlyList<ChannelBinding>, SaslDialogue> begin, bool sendsPassword = false, bool sendsToken = false, bool bindsChannel = false)
    {
        Name = name;
        SendsPassword = sendsPassword;
        SendsToken = sendsToken;
        BindsChannel = bindsChannel;
        _begin = begin;
    }

    public static IReadOnlyList<SaslMechanism> All { get; } =
    [
        // Never more than a draft (draft-murchison-sasl-login), and still all that some clients speak.
        new("LOGIN", static _ => new LoginDialogue(), sendsPassword: true),
        // RFC 4616
        new("PLAIN", static _ => new PlainDialogue(), sendsPassword: true),
        // RFC 5802, RFC 7677. A client that has the first takes it before all others, and fails where it binds by something else than this server
        // does: by tls-unique with TLS 1.2, as some do.
        new("SCRAM-SHA-256-PLUS", static channel => new ScramDialogue(channel, isBound: true), bindsChannel: true),
        new("SCRAM-SHA-256", static channel => new ScramDialogue(channel, isBound: false)),
        // RFC 7628
        new("OAUTHBEARER", static _ => new OAuthBearerDialogue(), sendsToken: true),
        // In no RFC; documented by Google and Microsoft for their own servers.
        new("XOAUTH2", static _ => new XOAuth2Dialogue(), sendsToken: true),
    ];

    /// <summary>What is offered where nobody says otherwise: LOGIN and PLAIN.</summary>
    public static IReadOnlyList<SaslMechanism> Passwords { get; } = [.. All.Where(mechanism => mechanism.SendsPassword)];

    /// <summary>What is offered besides where tokens of an issuer are taken, and nobody says otherwise: OAUTHBEARER and XOAUTH2.</summary>
    public static IReadOnlyList<SaslMechanism> Tokens { get; } = [.. All.Where(mechanism => mechanism.SendsToken)];

    /// <summary>As it is registered (RFC 4422 §3.1): upper case, digits, hyphens.</summary>
    public string Name { get; }

    /// <summary>The client sends the password itself.</summary>
    public bool SendsPassword { get; }

    /// <summary>The client sends a token that an issuer gave it: of no use where no issuer is trusted.</summary>
    public bool SendsToken { get; }

    /// <summary>The login counts for one TLS connection alone: of no use on a connection that has nothing to be bound to.</summary>
    public bool BindsChannel { get; }

    /// <param name="channel">What the connection can be bound by where a mechanism for that is offered on it; nothing: none is.</param>
    internal SaslDialogue Begin(IReadOnlyList<ChannelBinding> channel) => _begin(channel);

    /// <summary>Those of the mechanisms that can be had on a connection.</summary>
    /// <param name="isBound">There is something that a login can be bound to (<see cref="ChannelBinding"/>).</param>
    public static IReadOnlyList<SaslMechanism> On(IReadOnlyList<SaslMechanism> mechanisms, bool isBound) =>
        isBound || !mechanisms.Any(mechanism => mechanism.BindsChannel) ? mechanisms : [.. mechanisms.Where(mechanism => !mechanism.BindsChannel)];

    /// <summary>The names of mechanisms, in their order, with a space between them.</summary>
    public static string NamesOf(IEnumerable<SaslMechanism> mechanisms) => string.Join(' ', mechanisms.Select(mechanism => mechanism.Name));

    /// <summary>The mechanisms of these names, which are separated by spaces and in any case; null where one of them is not known, or none is named.</summary>
    public static IReadOnlyList<SaslMechanism>? Named(string names)
    {
        var words = names.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var found = words.Select(word => All.FirstOrDefault(mechanism => mechanism.Name.Equals(word, StringComparison.OrdinalIgnoreCase)));
        var mechanisms = found.OfType<SaslMechanism>().Distinct().ToArray();
        return words.Length > 0 && mechanisms.Length == words.Length ? mechanisms : null;
    }

    internal static SaslMechanism? Find(ReadOnlySpan<byte> name, IReadOnlyList<SaslMechanism> offered)
    {
        foreach (var mechanism in offered)
        {
            if (Ascii.EqualsIgnoreCase(name, mechanism.Name))
                return mechanism;
        }

        return null;
    }
}
