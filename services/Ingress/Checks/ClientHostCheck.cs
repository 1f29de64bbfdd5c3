using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// A stranger's address has a name that has that address, and the name that he greets with is one of DNS, as far as the operator wants it.
/// DNS that does not answer is no reason against anybody. Said at RCPT; postmasters can be written to all the same (RFC 5321 §4.5.1).
/// </summary>
internal sealed class ClientHostCheck(PolicyFile policy, ClientNames names, TimeProvider time) : ICheck
{
    // RFC 7372 §3.3: the status of failed reverse DNS.
    private static readonly Judgement s_noName = new("client-no-name", Replies.C550NoReverseName);
    private static readonly Judgement s_unconfirmed = new("client-name-unconfirmed", Replies.C550NoReverseName);
    private static readonly Judgement s_unknown = new("client-greeting-unknown", Replies.C550GreetingNotHeld);
    private static readonly Judgement s_elsewhere = new("client-greeting-elsewhere", Replies.C550GreetingNotHeld);

    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        policy.Current.ClientHost is not { } host || !context.IsStrangerOn(host.Listeners) ? new(Verdict.GoOn) : JudgeAsync(context, host);

    private async ValueTask<Verdict> JudgeAsync(CheckContext context, ClientHostOptions host)
    {
        var client = context.Client!;
        MessageNote? note = null;
        using var patience = new CancellationTokenSource(host.MaxWait, time);
        using var elsewhere = context.Patience?.BeginElsewhereWait();
        if (host.AsksAddress)
        {
            var reverse = await ClientInquiry.AnswerAsync(context.Inquiry.ReverseNameAsync(client, names), patience.Token);
            var (wanted, judgement) = reverse.Standing switch
            {
                NameStanding.None => (host.NoName, s_noName),
                NameStanding.Elsewhere => (host.Unconfirmed, s_unconfirmed),
                _ => (NamePolicy.Accept, s_noName),
            };
            if (Judge(context, wanted, judgement, ref note) is { } refused)
                return refused;
        }

        if (host.AsksGreeting)
        {
            var greeted = await ClientInquiry.AnswerAsync(context.Inquiry.GreetedNameAsync(context.Greeting, client, names), patience.Token);
            var (wanted, judgement) = greeted.Standing switch
            {
                NameStanding.None => (host.GreetingUnknown, s_unknown),
                NameStanding.Elsewhere => (host.GreetingElsewhere, s_elsewhere),
                _ => (NamePolicy.Accept, s_unknown),
            };
            if (Judge(context, wanted, judgement, ref note) is { } refused)
                return refused;
        }

        return note is null ? Verdict.GoOn : Verdict.Noting(note);
    }

    private static Verdict? Judge(CheckContext context, NamePolicy wanted, Judgement judgement, ref MessageNote? note)
    {
        if (wanted == NamePolicy.Refuse && !context.Recipient.IsPostmaster)
            return new Verdict(judgement.Reply) { Rule = judgement.Tag };
        if (wanted == NamePolicy.Tag)
            note = MessageNote.Join(note, judgement.Note);
        return null;
    }

    private sealed record Judgement(string Tag, SmtpReply Reply)
    {
        public MessageNote Note { get; } = new() { Tags = [Tag], Fields = [HeaderField.OfTag(Tag)] };
    }
}
