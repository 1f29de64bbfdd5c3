using MailPipeline.Authentication.Dmarc;
using MailPipeline.LineServer;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>Whether mail of strangers is from whom it says (SPF, DMARC). Section "Ingress:Checks:Authentication".</summary>
public sealed class AuthenticationOptions
{
    /// <summary>Default Off: nothing is asked, and no DNS is needed.</summary>
    public AuthenticationPolicy Policy { get; set; }

    /// <summary>The listeners on which it is asked. Default Mx: who logs in, and who may relay, is not judged.</summary>
    public ListenerSet Listeners { get; set; } = ListenerKinds.Mx;

    /// <summary>
    /// How long a client waits for it behind the final dot, and how long SPF may take from MAIL on. Default 10 s: within it RFC 7208 §4.6.4 would
    /// have 20 s, and SPF began earlier.
    /// </summary>
    public TimeSpan MaxTime { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Questions to DNS about one message, answers that are remembered included: so many for each of SPF of the sender, SPF of the greeting, the keys of
    /// signatures, and DMARC. Default 100: SPF of an honest domain asks ten or twenty.
    /// </summary>
    public int MaxQuestions { get; set; } = 100;

    public SpfOptions Spf { get; init; } = new();

    public DmarcOptions Dmarc { get; init; } = new();

    /// <summary>Kinds of listeners on one of which it is asked.</summary>
    internal ListenerKinds AskedOn(IEnumerable<ListenerOptions> listeners) =>
        listeners.Where(listener => PolicyOf(listener) != AuthenticationPolicy.Off)
            .Aggregate(ListenerKinds.None, (all, listener) => all | ListenerSet.KindsOf(listener.Kind));

    internal AuthenticationPolicy PolicyOf(ListenerOptions listener) =>
        listener.Authentication ?? (Listeners.Has(listener) ? Policy : AuthenticationPolicy.Off);

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        Listeners.Validate($"{setting}:Listeners", listeners, failures);
        CheckOptions.RequireDefined($"{setting}:Policy", Policy, failures);
        if (MaxTime < TimeSpan.FromMilliseconds(100) || MaxTime > TimeSpan.FromMinutes(2))
            failures.Add($"{setting}:MaxTime is {MaxTime}; it must be 100 ms to 2 min");
        if (MaxQuestions is < 1 or > 10_000)
            failures.Add($"{setting}:MaxQuestions is {MaxQuestions}; it must be 1 to 10000");
        CheckOptions.RequireDefined($"{setting}:Spf:Fail", Spf.Fail, failures);
        Dmarc.Validate($"{setting}:Dmarc", failures);
        if (Dmarc.Reports && (listeners.Any() ? listeners.All(listener => PolicyOf(listener) == AuthenticationPolicy.Off) : Policy == AuthenticationPolicy.Off))
        {
            failures.Add(
                $"{setting}:Dmarc:Reports is true, but no listener judges anything: {setting}:Policy, or Ingress:Listeners:N:Authentication of one of them, must be Mark or Enforce");
        }
    }
}

/// <summary>What is done with what is found.</summary>
public enum AuthenticationPolicy
{
    /// <summary>Nothing is asked.</summary>
    Off,

    /// <summary>The message says what was found, in a field and by tags; none is refused or held for it.</summary>
    Mark,

    /// <summary>And what the domain of the author asks for is done.</summary>
    Enforce,
}

/// <summary>Section "Ingress:Checks:Authentication:Spf".</summary>
public sealed class SpfOptions
{
    /// <summary>
    /// With Policy Enforce: of a client that may not use its sender's domain, where DMARC does not pass. Default Mark: forwarders without a
    /// return path of their own fail, and DMARC says what the author's domain wants (RFC 7489 §10.1).
    /// </summary>
    public SpfFailPolicy Fail { get; set; }
}

/// <summary>What becomes of a message whose sender fails by SPF.</summary>
public enum SpfFailPolicy
{
    /// <summary>It says so.</summary>
    Mark,

    /// <summary>550 5.7.23 to the content.</summary>
    Refuse,
}

/// <summary>Section "Ingress:Checks:Authentication:Dmarc".</summary>
public sealed class DmarcOptions
{
    /// <summary>How policies are found. Default PublicSuffixList (RFC 7489).</summary>
    public DmarcDiscoveryMode Discovery { get; set; }

    /// <summary>A list in the form of publicsuffix.org, read again when it changes. Default: the one that is built in.</summary>
    public string PublicSuffixFile { get; set; } = "";

    /// <summary>With Policy Enforce: of a message that its author's domain wants in quarantine. Default Tag.</summary>
    public QuarantinePolicy Quarantine { get; set; }

    /// <summary>
    /// With Policy Enforce: where DNS does not say what the author's domain asks for. Default Accept: RFC 7489 §6.6.3 leaves it open, and a
    /// resolver that is away would keep all mail out.
    /// </summary>
    public UnknownPolicy WhenUnknown { get; set; }

    /// <summary>With Policy Enforce: of a message whose From names no domain. Default Accept. One that names more than five is refused always.</summary>
    public UnreadableFromPolicy UnreadableFrom { get; set; }

    /// <summary>Domains whose policy is not obeyed, of authors in them or below them. Default: none.</summary>
    public IList<string> ExceptDomains { get; init; } = [];

    /// <summary>Addresses and networks (CIDR) of clients whose mail is neither refused nor held for it: forwarders that are known. Default: none.</summary>
    public IList<string> ExceptNetworks { get; init; } = [];

    /// <summary>
    /// Domains whose valid ARC seal, as the last one, saves a message that they saw pass (RFC 8617 §7.2.1), by their ARC-Authentication-Results. Default: none.
    /// </summary>
    public IList<string> TrustedSealers { get; init; } = [];

    /// <summary>
    /// Count how messages are judged, for reports to domains whose record asks for some (RFC 7489 §7.2); Queue makes them, once a day. Default false.
    /// </summary>
    public bool Reports { get; set; }

    internal void Validate(string setting, List<string> failures)
    {
        CheckOptions.RequireDefined($"{setting}:Discovery", Discovery, failures);
        CheckOptions.RequireDefined($"{setting}:Quarantine", Quarantine, failures);
        CheckOptions.RequireDefined($"{setting}:WhenUnknown", WhenUnknown, failures);
        CheckOptions.RequireDefined($"{setting}:UnreadableFrom", UnreadableFrom, failures);
        RequireDomains($"{setting}:ExceptDomains", ExceptDomains, failures);
        RequireDomains($"{setting}:TrustedSealers", TrustedSealers, failures);
        PolicyOptions.RequireNetworks($"{setting}:ExceptNetworks", ExceptNetworks, failures);
        if (PublicSuffixFile.Length > 0 && PublicSuffixes.FaultOf(PublicSuffixFile) is { } fault)
            failures.Add($"{setting}:PublicSuffixFile is '{PublicSuffixFile}', and {fault}; it must be a list as of https://publicsuffix.org, such as 'mail check psl --renew FILE' fetches");
    }

    private static void RequireDomains(string setting, IList<string> domains, List<string> failures)
    {
        for (var i = 0; i < domains.Count; i++)
        {
            if (DomainName.ToAscii(domains[i]) is not { } name || !SmtpAddress.TryParse($"x@{name}", out var address) || address!.HasAddressLiteral)
                failures.Add($"{setting}:{i} is '{domains[i]}'; it must be a domain name such as example.org");
        }
    }
}

/// <summary>What becomes of a message that is to be in quarantine.</summary>
public enum QuarantinePolicy
{
    /// <summary>It is delivered with the tag dmarc-quarantine, by which maildrops' readers sort it.</summary>
    Tag,

    /// <summary>Its recipients wait for an operator as well.</summary>
    Hold,
}

/// <summary>What becomes of a message of whose author's domain no policy is known.</summary>
public enum UnknownPolicy
{
    /// <summary>It is taken, and says so.</summary>
    Accept,

    /// <summary>451 4.7.0 to the content.</summary>
    Defer,
}

/// <summary>What becomes of a message that says of no domain that it is from there.</summary>
public enum UnreadableFromPolicy
{
    /// <summary>It is taken, and says so.</summary>
    Accept,

    /// <summary>550 5.7.1 to the content.</summary>
    Refuse,
}
