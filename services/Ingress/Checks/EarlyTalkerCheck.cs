using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// A stranger waits for the greeting before he speaks (RFC 5321 §3.1, RFC 2920 §3.1): who does not is a program that never looks at replies.
/// </summary>
internal sealed class EarlyTalkerCheck(PolicyFile policy) : ICheck
{
    public const string Tag = "early-talker";

    private static readonly Verdict s_refused = new(Replies.C554EarlyTalker);
    private static readonly Verdict s_tagged = Verdict.Noting(new MessageNote { Tags = [Tag], Fields = [HeaderField.OfTag(Tag)] });

    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        policy.Current.EarlyTalkers is not { } early || !context.IsStrangerOn(early.Listeners) ? new(Verdict.GoOn) : ListenAsync(context, early);

    private static async ValueTask<Verdict> ListenAsync(CheckContext context, EarlyTalkerOptions early) =>
        !await context.SpeaksWithinAsync(early.Wait) ? Verdict.GoOn : early.Verdict == NamePolicy.Refuse ? s_refused : s_tagged;
}
