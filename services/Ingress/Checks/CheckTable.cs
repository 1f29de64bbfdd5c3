using System.Runtime.CompilerServices;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// All checks at the door, by the stage at which they are asked and in their order. The first that does not say "go on" decides, and those
/// behind it are not asked.
/// </summary>
internal sealed class CheckTable(
    Backpressure backpressure,
    LocalSenderCheck localSender,
    OwnSenderCheck ownSender,
    HostPostmasterCheck hostPostmaster,
    RelayCheck relay,
    LocalRecipientCheck localRecipient)
{
    // MAIL: what costs nothing comes first, so that who is put off anyway costs no look-up.
    private readonly ICheck[] _sender = [backpressure, localSender, ownSender];

    // RCPT: who is always taken, then whose mail is none of ours, then who is there.
    private readonly ICheck[] _recipient = [hostPostmaster, relay, localRecipient];

    /// <summary>At MAIL, about <see cref="CheckContext.Sender"/>.</summary>
    public ValueTask<Verdict> CheckSenderAsync(CheckContext context, CancellationToken cancellation) => AskAsync(_sender, context, cancellation);

    /// <summary>At RCPT, about <see cref="CheckContext.Recipient"/>.</summary>
    public ValueTask<Verdict> CheckRecipientAsync(CheckContext context, CancellationToken cancellation) => AskAsync(_recipient, context, cancellation);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private static async ValueTask<Verdict> AskAsync(ICheck[] checks, CheckContext context, CancellationToken cancellation)
    {
        foreach (var check in checks)
        {
            var verdict = await check.CheckAsync(context, cancellation);
            if (!verdict.IsGoOn)
                return verdict;
        }

        return Verdict.GoOn;
    }
}
