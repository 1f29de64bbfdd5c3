using System.Text;

namespace MailPipeline.Sasl;

/// <summary>One way of logging in: a row of the table of all that there are. Listeners offer some of them.</summary>
public sealed class SaslMechanism
{
    private readonly Func<SaslDialogue> _begin;

    private SaslMechanism(string name, Func<SaslDialogue> begin, bool sendsPassword = false, bool sendsToken = false)
    {
        Name = name;
        SendsPassword = sendsPassword;
        SendsToken = sendsToken;
        _begin = begin;
    }

    public static IReadOnlyList<SaslMechanism> All { get; } =
    [
        // Never more than a draft (draft-murchison-sasl-login), and still all that some clients speak.
        new("LOGIN", static () => new LoginDialogue(), sendsPassword: true),
        // RFC 4616
        new("PLAIN", static () => new PlainDialogue(), sendsPassword: true),
        // RFC 5802, RFC 7677. Not SCRAM-SHA-256-PLUS: a client that has it takes it before all others, and binds it to a TLS 1.3 channel by
        // "tls-exporter" (RFC 9266), for which SslStream exports nothing.
        new("SCRAM-SHA-256", static () => new ScramDialogue()),
        // RFC 7628
        new("OAUTHBEARER", static () => new OAuthBearerDialogue(), sendsToken: true),
        // In no RFC; documented by Google and Microsoft for their own servers.
        new("XOAUTH2", static () => new XOAuth2Dialogue(), sendsToken: true),
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

    internal SaslDialogue Begin() => _begin();

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
