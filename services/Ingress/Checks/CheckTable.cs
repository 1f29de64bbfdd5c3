using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// All checks at the door: at which stage each is asked, in which order, and on which listeners. A check that is on for none costs nothing.
/// </summary>
internal sealed class CheckTable
{
    private readonly CheckRow[] _rows;
    private readonly IngressTelemetry _telemetry;

    public CheckTable(
        ClientNetworkCheck clientNetwork,
        LmtpClientCheck lmtpClient,
        BanCheck ban,
        ConnectionLimitCheck connectionLimit,
        MessageLimitCheck messageLimit,
        RecipientLimitCheck recipientLimit,
        SenderQueueCheck senderQueue,
        ClientInquiryCheck clientInquiry,
        EarlyTalkerCheck earlyTalker,
        ClientNameCheck clientName,
        Backpressure backpressure,
        LocalSenderCheck localSender,
        OwnSenderCheck ownSender,
        HostPostmasterCheck hostPostmaster,
        DnsListCheck dnsLists,
        ClientHostCheck clientHost,
        ReturnPathCheck returnPath,
        RelayCheck relay,
        LocalRecipientCheck localRecipient,
        GreylistCheck greylist,
        RelayRecipientCheck relayRecipient,
        MaildropSpaceCheck maildropSpace,
        HopCheck hops,
        OwnAuthorCheck ownAuthor,
        HeaderRuleCheck headerRules,
        SignatureCheck signatures,
        SenderAuthenticationCheck senderAuthentication,
        MessageAuthenticationCheck messageAuthentication,
        FilterCheck filter,
        IOptions<IngressOptions> options,
        IngressTelemetry telemetry)
    {
        var settings = options.Value.Checks;
        var authenticated = settings.Authentication.AskedOn(options.Value.Listeners);
        var filtered = options.Value.Filters.Aggregate((ListenerSet)ListenerKinds.None, (all, one) => all | one.Listeners);
        _telemetry = telemetry;
        _rows =
        [
            // stage                name             on which listeners                                  check
            new(CheckStage.Connection, "client_network", settings.ClientNetwork.AskedOn, clientNetwork),
            new(CheckStage.Connection, "lmtp_client", ListenerKinds.Lmtp, lmtpClient),
            new(CheckStage.Connection, "ban", ListenerKinds.All, ban),
            new(CheckStage.Connection, "connection_limit", settings.PolicyAskedOn, connectionLimit),
            // It begins what is waited for later; whoever makes the client wait comes last.
            new(CheckStage.Connection, "client_inquiry", settings.PolicyAskedOn, clientInquiry),
            new(CheckStage.Connection, "filter", filtered, filter),
            new(CheckStage.Connection, "early_talker", settings.PolicyAskedOn, earlyTalker),
            new(CheckStage.Hello, "client_name", settings.ClientName.AskedOn, clientName),
            new(CheckStage.Hello, "filter", filtered, filter),

            // What costs nothing comes first, so that who is put off anyway costs no look-up.
            new(CheckStage.Sender, "backpressure", ListenerKinds.All, backpressure),
            new(CheckStage.Sender, "ban", ListenerKinds.All, ban),
            new(CheckStage.Sender, "local_sender", settings.LocalSender.AskedOn, localSender),
            new(CheckStage.Sender, "own_sender", settings.OwnSender.AskedOn, ownSender),
            // What is refused anyway does not count.
            new(CheckStage.Sender, "message_limit", settings.PolicyAskedOn, messageLimit),
            new(CheckStage.Sender, "sender_authentication", authenticated, senderAuthentication),
            new(CheckStage.Sender, "filter", filtered, filter),

            // Who is always taken, then whose mail is none of ours, then who is there: by what is known here, before another host is asked.
            new(CheckStage.Recipient, "host_postmaster", ListenerKinds.All, hostPostmaster),
            new(CheckStage.Recipient, "dns_list", settings.PolicyAskedOn, dnsLists),
            new(CheckStage.Recipient, "client_host", settings.PolicyAskedOn, clientHost),
            new(CheckStage.Recipient, "return_path", ListenerKinds.All, returnPath),
            new(CheckStage.Recipient, "relay", ListenerKinds.All, relay),
            new(CheckStage.Recipient, "local_recipient", ListenerKinds.All, localRecipient),
            // What is put off for it does not count as a recipient of a limit.
            new(CheckStage.Recipient, "sender_queue", settings.PolicyAskedOn, senderQueue),
            // What it puts off counts: each is a row in storage.
            new(CheckStage.Recipient, "recipient_limit", settings.PolicyAskedOn, recipientLimit),
            new(CheckStage.Recipient, "greylist", settings.PolicyAskedOn, greylist),
            new(CheckStage.Recipient, "relay_recipient", ListenerKinds.All, relayRecipient),
            new(CheckStage.Recipient, "maildrop_space", settings.MaildropSpace.AskedOn, maildropSpace),
            new(CheckStage.Recipient, "filter", filtered, filter),

            new(CheckStage.Content, "hops", ListenerKinds.All, hops),
            new(CheckStage.Content, "own_author", settings.OwnAuthor.AskedOn(settings.OwnSender), ownAuthor),
            new(CheckStage.Content, "header_rules", settings.HeaderRules.AskedOn, headerRules),

            // What needs another's answer comes last: the second one asks about what the first one found.
            new(CheckStage.Content, "signatures", settings.Signatures.AskedOn | authenticated, signatures),
            new(CheckStage.Content, "message_authentication", authenticated, messageAuthentication),
            new(CheckStage.Content, "filter", filtered, filter),
        ];
    }

    public ListenerChecks Of(ListenerOptions listener) => new(Array.FindAll(_rows, row => row.Listeners.Has(listener)), _telemetry);
}

/// <param name="Name">In metrics.</param>
internal sealed record CheckRow(CheckStage Stage, string Name, ListenerSet Listeners, ICheck Check);
