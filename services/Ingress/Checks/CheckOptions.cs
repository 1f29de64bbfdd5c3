using MailPipeline.Ingress.NextHops;

namespace MailPipeline.Ingress.Checks;

/// <summary>The settings of the checks, a group for each. Section "Ingress:Checks".</summary>
public sealed class CheckOptions
{
    /// <summary>
    /// The file with the policy of the door (<see cref="PolicyOptions"/>), in JSON; it is read again when it changes. Default: none, and what it would
    /// say is off and costs nothing.
    /// </summary>
    public string PolicyFile { get; set; } = "";

    public ClientNetworkOptions ClientNetwork { get; init; } = new();

    public ClientNameOptions ClientName { get; init; } = new();

    public LocalSenderOptions LocalSender { get; init; } = new();

    public OwnSenderOptions OwnSender { get; init; } = new();

    public OwnAuthorOptions OwnAuthor { get; init; } = new();

    public RelayRecipientOptions RelayRecipient { get; init; } = new();

    public MaildropSpaceOptions MaildropSpace { get; init; } = new();

    public HopOptions Hops { get; init; } = new();

    public SignatureOptions Signatures { get; init; } = new();

    public HeaderRuleOptions HeaderRules { get; init; } = new();

    internal ListenerKinds PolicyAskedOn => PolicyFile.Length > 0 ? ListenerKinds.All : ListenerKinds.None;

    public AuthenticationOptions Authentication { get; init; } = new();

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        if (PolicyFile.Length > 0)
            Checks.PolicyFile.Validate($"{setting}:{nameof(PolicyFile)}", PolicyFile, listeners, failures);
        ClientNetwork.Validate($"{setting}:{nameof(ClientNetwork)}", listeners, failures);
        ClientName.Validate($"{setting}:{nameof(ClientName)}", listeners, failures);
        LocalSender.Validate($"{setting}:{nameof(LocalSender)}", failures);
        RelayRecipient.Validate($"{setting}:{nameof(RelayRecipient)}", failures);
        MaildropSpace.Validate($"{setting}:{nameof(MaildropSpace)}", failures);
        Hops.Validate($"{setting}:{nameof(Hops)}", failures);
        Signatures.Validate($"{setting}:{nameof(Signatures)}", listeners, failures);
        HeaderRules.Validate($"{setting}:{nameof(HeaderRules)}", listeners, failures);
        Authentication.Validate($"{setting}:{nameof(Authentication)}", listeners, failures);
    }

    internal static void RequireDefined<T>(string setting, T value, List<string> failures)
        where T : struct, Enum
    {
        if (!Enum.IsDefined(value))
            failures.Add($"{setting} is {value}; it must be one of {string.Join(", ", Enum.GetNames<T>())}");
    }
}
