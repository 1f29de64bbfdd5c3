using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// A stranger whom lists in DNS have, by the sum of their weights, is refused or his messages are tagged. Said at RCPT, where the log can tell
/// who wrote to whom; postmasters can be written to all the same (RFC 5321 §4.5.1). Which list it was the client does not hear.
/// </summary>
internal sealed class DnsListCheck(PolicyFile policy, DnsLists lists) : ICheck
{
    public const string Tag = "dns-list";

    private static readonly Verdict s_tagged = Verdict.Noting(new MessageNote { Tags = [Tag], Fields = [HeaderField.OfTag(Tag)] });

    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        policy.Current.DnsLists is not { } asked || !context.IsStrangerOn(asked.Options.Listeners) ? new(Verdict.GoOn) : JudgeAsync(context, asked);

    private async ValueTask<Verdict> JudgeAsync(CheckContext context, DnsListPolicy asked)
    {
        using var elsewhere = context.Patience?.BeginElsewhereWait();
        var (score, zone) = await context.Inquiry.ScoreAsync(context.Client!, asked, lists);
        if (asked.Options.RefuseFrom > 0 && score >= asked.Options.RefuseFrom && !context.Recipient.IsPostmaster)
            return new Verdict(Replies.C550ClientListed) { Rule = zone };
        return asked.Options.TagFrom > 0 && score >= asked.Options.TagFrom ? s_tagged : Verdict.GoOn;
    }
}
