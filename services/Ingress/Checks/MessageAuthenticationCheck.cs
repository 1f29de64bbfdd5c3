using System.Diagnostics;
using System.Net;
using MailPipeline.Authentication;
using MailPipeline.Authentication.Arc;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Authentication.Spf;
using MailPipeline.LineServer;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// Whether a stranger's message is from whom it says: gathers what SPF found since MAIL and what its signatures are worth, asks the domain of
/// its author (DMARC), and puts all of it into one Authentication-Results field. Refuses and holds where <see cref="AuthenticationOptions"/>
/// say so.
/// </summary>
internal sealed class MessageAuthenticationCheck : ICheck
{
    public const string QuarantineTag = "dmarc-quarantine";
    public const string RejectTag = "dmarc-reject";

    private static readonly Verdict s_headerTooLong = new(Replies.C552HeaderUnread) { Rule = "header-too-long" };
    private static readonly Verdict s_unreadableFrom = new(Replies.C550UnreadableFrom) { Rule = "dmarc-from" };
    private static readonly Verdict s_undecided = new(Replies.C451AuthenticationUnknown) { Rule = "dmarc-undecided" };

    private readonly AuthenticationOptions _options;
    private readonly PublicSuffixes _suffixes;
    private readonly IngressTelemetry _telemetry;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly string _authServId;
    private readonly ClientNetworks _exceptNetworks;
    private readonly string[] _exceptDomains;
    private readonly HashSet<string> _sealers;

    public MessageAuthenticationCheck(PublicSuffixes suffixes, IOptions<IngressOptions> options, IngressTelemetry telemetry, TimeProvider time)
    {
        _options = options.Value.Checks.Authentication;
        _suffixes = suffixes;
        _telemetry = telemetry;
        _time = time;
        _random = Random.Shared;
        _authServId = options.Value.AuthservId;
        _exceptNetworks = new ClientNetworks(_options.Dmarc.ExceptNetworks);
        _exceptDomains = [.. _options.Dmarc.ExceptDomains.Select(DomainName.Key)];
        _sealers = [.. _options.Dmarc.TrustedSealers.Select(DomainName.Key)];
    }

    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (context.Spf is not { } inquiry)
            return Verdict.GoOn;
        var enforces = context.Authentication == AuthenticationPolicy.Enforce;
        // A From that nobody sees is nobody's.
        if (enforces && context.Signatures is { Header: null })
            return s_headerTooLong;
        var started = _time.GetTimestamp();
        var authors = AuthorDomains.Of(context.Signatures?.Header ?? MessageHeader.Parse());
        var results = await FindAsync(context, inquiry, authors);
        Note(results, inquiry, _time.GetElapsedTime(started));
        results = results with { Override = OverrideOf(results, authors, context.Client!) };
        var refusal = enforces && results.Override.Length == 0 ? Refusal(results, authors, context.Client!, inquiry.Dns.IsExhausted) : null;
        if (_options.Dmarc.Reports)
            context.Judgement = ReportedJudgement.Of(results, refusal, context, _options);
        return refusal ?? Verdict.Noting(NoteOf(results, enforces));
    }

    private async Task<MessageResults> FindAsync(CheckContext context, SpfInquiry inquiry, AuthorDomains authors)
    {
        var deadline = inquiry.Wait();
        var signatures = context.Signatures;
        // What the author's domain asks for is known, perhaps, while SPF is waited for.
        var dmarc = new DmarcCheck(inquiry.Dns.Dmarc, _options.Dmarc.Discovery, _suffixes.Current, _random)
            .Begin(authors, null, deadline);
        var mailFrom = await inquiry.MailFromAsync();
        var helo = await inquiry.HeloAsync();
        return new MessageResults(
            context.Transaction.Sender?.Text ?? "", mailFrom, helo, signatures?.Dkim, signatures?.Arc, await dmarc.EndAsync(mailFrom, signatures?.Dkim ?? []));
    }

    private void Note(MessageResults results, SpfInquiry inquiry, TimeSpan duration)
    {
        var activity = Activity.Current;
        foreach (var (method, status) in results.ByMethod)
        {
            _telemetry.Authenticated(method, status);
            activity?.SetTag($"mailpipeline.authentication.{method}", AuthenticationWords.Of(status));
        }

        if (results.MailFrom is { Limit: not SpfLimit.None } bounded)
            _telemetry.AuthenticationBounded(bounded.Limit);
        if (inquiry.Dns.IsExhausted)
            _telemetry.AuthenticationQuestionsSpent();
        _telemetry.AuthenticationWaited(duration);
    }

    /// <summary>Why what the author's domain asks for is not done, in a word; empty: it is.</summary>
    private string OverrideOf(MessageResults results, AuthorDomains authors, IPAddress client)
    {
        var status = results.Dmarc!.Status;
        if (status == AuthenticationStatus.Pass || (status == AuthenticationStatus.None && results.MailFrom?.Status != AuthenticationStatus.Fail))
            return "";
        // Without a policy of the author's it is the sender of the envelope who fails.
        IReadOnlyCollection<string> shown = status == AuthenticationStatus.None ? [results.MailFrom!.Domain.ToLowerInvariant()] : authors.Domains;
        if (results.Arc is { Status: AuthenticationStatus.Pass, LeavesBodyUncovered: false } arc && HasSeen(arc, shown, results.Dmarc.Record))
            return "trusted-sealer";
        if (_exceptNetworks.Contains(client))
            return "network";
        // Of each of them: beside one that is excepted another one could stand.
        return authors.Domains.Count > 0 && authors.Domains.All(IsExcepted) ? "domain" : "";
    }

    /// <summary>
    /// The newest sealer is trusted and says that it saw it pass; or that is said by one before it, of which all that sealed behind it are trusted as well.
    /// </summary>
    private bool HasSeen(ArcResult arc, IReadOnlyCollection<string> domains, DmarcRecord? record)
    {
        for (var i = 0; i < arc.Sealers.Count && _sealers.Contains(arc.Sealers[i]); i++)
        {
            if (SealedResults.Show(arc.Results[i], domains, record, _suffixes.Current()))
                return true;
        }

        return false;
    }

    private bool IsExcepted(string author) =>
        Array.Exists(_exceptDomains, domain => author == domain || author.EndsWith($".{domain}", StringComparison.Ordinal));

    /// <param name="isSpent">The message has asked all that it may: nobody gets past a policy by making it too dear to find out.</param>
    private Verdict? Refusal(MessageResults results, AuthorDomains authors, IPAddress client, bool isSpent)
    {
        var dmarc = results.Dmarc!;
        switch (dmarc.Status)
        {
            case AuthenticationStatus.Fail when dmarc.Disposition == DmarcPolicy.Reject:
                return Refused(new SmtpReply(550, "5.7.26", $"{dmarc.Author} asks to refuse mail that is not shown to be its own (DMARC): SPF and DKIM pass for no domain aligned with it"), RejectTag);
            // RFC 7489 §6.6.2: what may be a pass is neither refused for good nor taken.
            case AuthenticationStatus.TemporaryError when dmarc.Record is null
                ? isSpent || _options.Dmarc.WhenUnknown == UnknownPolicy.Defer
                : dmarc.Disposition == DmarcPolicy.Reject || (isSpent && dmarc.Disposition == DmarcPolicy.Quarantine):
                return s_undecided;
            // Behind so many names one could hide whose policy nobody asked for.
            case AuthenticationStatus.PermanentError when authors.Domains.Count > DmarcInquiry.MaxAuthors || _options.Dmarc.UnreadableFrom == UnreadableFromPolicy.Refuse:
                return s_unreadableFrom;
        }

        return _options.Spf.Fail == SpfFailPolicy.Refuse && dmarc.Status != AuthenticationStatus.Pass && results.MailFrom is { Status: AuthenticationStatus.Fail } spf
            ? Refused(ReplyTo(spf, client), "spf-fail") : null;
    }

    // RFC 7208 §8.4: the explanation is its domain's, and the client is told whose it is.
    private static SmtpReply ReplyTo(SpfResult spf, IPAddress client) => new(550, new EnhancedStatus(5, 7, 23), spf.Explanation.Length == 0
        ? [$"SPF: {client} may not send mail of {spf.Domain}"]
        : [$"SPF: {client} may not send mail of {spf.Domain}", $"The domain {spf.Domain} explains:", spf.Explanation]);

    private static Verdict Refused(SmtpReply reply, string rule) => new(reply) { Rule = rule };

    private MessageNote NoteOf(MessageResults results, bool enforces)
    {
        var field = results.ToField(_authServId);
        var tags = results.ByMethod.Select(found => $"{found.Method}-{AuthenticationWords.Of(found.Status)}").ToList();
        List<HeaderField> fields = [new(AuthenticationResults.FieldName, field.ToValue(AuthenticationResults.FieldName.Length + 2))];
        var asked = results is { Override.Length: 0, Dmarc: { Status: AuthenticationStatus.Fail } failed } ? failed.Disposition : DmarcPolicy.None;
        if (asked != DmarcPolicy.None)
        {
            var tag = asked == DmarcPolicy.Reject ? RejectTag : QuarantineTag;
            tags.Add(tag);
            fields.Add(HeaderField.OfTag(tag));
        }

        return new MessageNote
        {
            Tags = tags, Fields = fields,
            HoldReason = enforces && asked == DmarcPolicy.Quarantine && _options.Dmarc.Quarantine == QuarantinePolicy.Hold
                ? $"DMARC: {results.Dmarc!.Author} asks for quarantine" : "",
        };
    }
}
