using System.Net;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Ingress.Filters;
using MailPipeline.Ingress.Headers;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// What checks may know of one session: who the client is, and what it proposes; and what they have said so far of the message to come.
/// One object for each connection.
/// </summary>
/// <param name="isRelayClient">The operator lists the client.</param>
internal sealed class CheckContext(SmtpSession session, LineConnection connection, bool isRelayClient)
{
    private SmtpAddress? _resolvedRecipient;
    private ResolvedAddress? _resolved;
    private ReceivedContent? _content;

    // Said of the connection, of the greeting that stands, and of the transaction: what ends one of them takes its note along.
    private MessageNote? _ofConnection;
    private readonly List<string> _forwardingDomains = [];
    private MessageNote? _ofHello;
    private MessageNote? _ofTransaction;

    // Said at the stage under way, of what is proposed there; dropped if that is refused.
    private MessageNote? _ofProposed;

    /// <summary>The client's address; null where nobody knows.</summary>
    public IPAddress? Client => connection.Client;

    /// <summary>The client is this very machine.</summary>
    public bool IsLocalClient => Client is { } client && (IPAddress.IsLoopback(client) || client.Equals(Local));

    /// <summary>The address of ours that the client came to.</summary>
    public IPAddress? Local => connection.Local;

    /// <summary>Who has logged in; null is a stranger. Who logs in is not judged by the name that he greeted with before.</summary>
    public Account? Account
    {
        get;
        set
        {
            field = value;
            if (value is not null)
                _ofHello = null;
        }
    }

    /// <summary>The client has logged in, or the operator lists it.</summary>
    public bool MayRelay => Account is not null || isRelayClient;

    /// <summary>The client comes from elsewhere, has not logged in, and is not listed: whom the policy of the door is about.</summary>
    public bool IsStranger => Client is not null && !MayRelay && !IsLocalClient && !IsYetToBeNamed;

    /// <summary>The client is a stranger on one of these listeners.</summary>
    public bool IsStrangerOn(ListenerSet listeners) => IsOn(listeners) && IsStranger;

    /// <summary>Its listener is one of these.</summary>
    public bool IsOn(ListenerSet listeners) => listeners.Has(Kind, ListenerName);

    /// <summary>The client may name others by XCLIENT, and has named nobody.</summary>
    public bool MayNameClients { get; init; }

    /// <summary>The session has just begun, and whom it is about is not known: a proxy may say so.</summary>
    public bool IsYetToBeNamed => MayNameClients && Stage == CheckStage.Connection;

    /// <summary>The operator lists the client, or it is this very machine.</summary>
    public bool IsListedOrLocal => isRelayClient || IsLocalClient;

    /// <summary>The stage that is under way.</summary>
    public CheckStage Stage { get; private set; }

    /// <summary>The kind of its listener.</summary>
    public ListenerKinds Kind => ListenerSet.KindsOf(session.Profile.Kind);

    /// <summary>The name of its listener.</summary>
    public string ListenerName { get; init; } = "";

    /// <summary>How long the client of the session is waited for.</summary>
    public SessionPatience? Patience { get; init; }

    /// <summary>What DNS says of the client, as far as somebody has asked.</summary>
    public ClientInquiry Inquiry => field ??= new();

    /// <summary>What is done on its listener with whether mail is from whom it says.</summary>
    public AuthenticationPolicy Authentication { get; init; }

    /// <summary>The operator's filters; null: there are none.</summary>
    public SessionFilters? Filters { get; init; }

    /// <summary>Where the client is; null where nobody knows.</summary>
    public IPEndPoint? EndPoint => connection.RemoteEndPoint as IPEndPoint;

    /// <summary>Its name, where a proxy has said it; else empty.</summary>
    public string HostName => session.ClientHostName;

    /// <summary>What TLS it speaks; null: it speaks in clear.</summary>
    public TlsParameters? Tls => connection.Tls;

    /// <summary>How it has logged in, as SASL calls it; empty of a stranger.</summary>
    public string LoginMechanism => session.LoginMechanism;

    /// <summary>Our name.</summary>
    public string LocalName => session.Profile.HostName;

    /// <summary>The session had begun when its client became known: a proxy has named it.</summary>
    public bool IsNamedByProxy { get; init; }

    /// <summary>LMTP is spoken (RFC 2033): for maildrops of ours, whoever the client is.</summary>
    public bool IsForMaildrops => session.Profile.Kind == ListenerKind.Lmtp;

    /// <summary>While the greeting of the client is checked: its argument, printable ASCII.</summary>
    public string ClientName => session.ProposedClientName;

    /// <summary>The argument of the greeting that stands.</summary>
    public string Greeting => session.ClientName;

    /// <summary>SPF of the transaction under way; null where it is not asked.</summary>
    public SpfInquiry? Spf { get; private set; }

    /// <summary>The reverse-path, null for the null path; while the sender is checked.</summary>
    public SmtpAddress? Sender => session.ProposedSender;

    /// <summary>The domain of the reverse-path that is proposed, or of the transaction under way; null for the null path.</summary>
    public string? SenderDomain => (Stage == CheckStage.Sender ? session.ProposedSender : session.Transaction?.Sender)?.Domain;

    /// <summary>While a recipient is checked.</summary>
    public SmtpAddress Recipient => session.ProposedRecipient ?? throw new InvalidOperationException("No recipient is proposed.");

    /// <summary>Whose content it is; while the content is checked.</summary>
    public SmtpTransaction Transaction => session.Transaction ?? throw new InvalidOperationException("No transaction is under way.");

    /// <summary>While the content is checked.</summary>
    public ReceivedContent Content => _content ?? throw new InvalidOperationException("No content has come.");

    /// <summary>What was found of the signatures of the content, once <see cref="SignatureCheck"/> was asked; null where it looked at none.</summary>
    public MessageSignatures? Signatures { get; set; }

    /// <summary>Who reads the signatures of the message under way; null where nobody does.</summary>
    public SignatureObserver? SignatureObserver { get; set; }

    /// <summary>How <see cref="MessageAuthenticationCheck"/> has judged the content, for a report; null where nobody is told.</summary>
    public DmarcJudgement? Judgement { get; set; }

    /// <summary>Domains of ours whose aliases lead the message under way to other systems, in the order of its recipients.</summary>
    public IReadOnlyList<string> ForwardingDomains => _forwardingDomains;

    /// <summary>What was said of the message that is being received; null: nothing.</summary>
    public MessageNote? Note => MessageNote.Join(MessageNote.Join(_ofConnection, _ofHello), _ofTransaction);

    /// <summary>A stage begins: what an earlier one of its kind said is over, but for a greeting, which stands until another is taken.</summary>
    public void Begin(CheckStage stage)
    {
        _ofProposed = null;
        Stage = stage;
        if (stage is not (CheckStage.Connection or CheckStage.Sender))
            return;
        _ofTransaction = null;
        _forwardingDomains.Clear();
        AskSpf(null);
    }

    /// <summary>SPF of the transaction to come is asked about; what was asked about the last one is over.</summary>
    public void AskSpf(SpfInquiry? inquiry)
    {
        Spf?.Dispose();
        Spf = inquiry;
    }

    /// <summary>Said of what is proposed at the stage under way.</summary>
    public void Add(MessageNote note) => _ofProposed = MessageNote.Join(_ofProposed, note);

    /// <summary>
    /// A stage has ended. What is refused there leaves nothing behind: a greeting neither ends the one before it nor the transaction, and
    /// what was said of a recipient goes with him.
    /// </summary>
    public void End(CheckStage stage, Verdict last)
    {
        if (last.Reply is not null)
            return;
        switch (stage)
        {
            case CheckStage.Connection:
                _ofConnection = _ofProposed;
                break;
            case CheckStage.Hello:
                (_ofHello, _ofTransaction) = (_ofProposed, null);
                AskSpf(null);
                break;
            default:
                if (stage == CheckStage.Recipient)
                    NoteForwarding();
                _ofTransaction = MessageNote.Join(_ofTransaction, _ofProposed);
                break;
        }
    }

    /// <summary>Before the greeting: the client speaks within that time. It may, where a proxy has named it or TLS has gone before.</summary>
    public ValueTask<bool> SpeaksWithinAsync(TimeSpan wait) => IsNamedByProxy || connection.IsSecure ? new(false) : connection.SpeaksWithinAsync(wait);

    /// <summary>The content is here, until null is given.</summary>
    public void Receive(ReceivedContent? content)
    {
        _content = content;
        Signatures = null;
        Judgement = null;
    }

    private void NoteForwarding()
    {
        // Who has seen a return path can have anything sent on by it: no domain of ours answers for that.
        if (_resolved is { IsLocal: true, IsRelayed: false, IsReturnPath: false } resolved && ReferenceEquals(_resolvedRecipient, session.ProposedRecipient)
            && session.ProposedRecipient is { } recipient && resolved.Ends.Any(end => end.Route == RecipientRoute.Remote)
            && !_forwardingDomains.Contains(recipient.Domain, StringComparer.OrdinalIgnoreCase))
            _forwardingDomains.Add(recipient.Domain);
    }

    /// <summary>Where the recipient leads, looked up once for all checks of it.</summary>
    public async ValueTask<ResolvedAddress> ResolveRecipientAsync(AddressResolver addresses, CancellationToken cancellation)
    {
        var recipient = Recipient;
        if (_resolved is not { } resolved || !ReferenceEquals(recipient, _resolvedRecipient))
        {
            resolved = await addresses.ResolveAsync(recipient.Canonical, cancellation);
            (_resolvedRecipient, _resolved) = (recipient, resolved);
        }

        return resolved;
    }
}

/// <summary>What checks may know of a content that has ended.</summary>
/// <param name="SizeBytes">As received, without the fields that are put in front of it.</param>
/// <param name="Hops">Received fields in it.</param>
/// <param name="Header">Its header section, up to a bound; empty where no check reads it.</param>
/// <param name="IsHeaderCut">The header section goes on beyond the bound.</param>
/// <param name="Authors">Of a submitted message; of any other nothing.</param>
internal readonly record struct ReceivedContent(long SizeBytes, int Hops, ReadOnlyMemory<byte> Header, bool IsHeaderCut, AuthorFields Authors);
