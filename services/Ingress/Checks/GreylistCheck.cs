using System.Collections.Concurrent;
using System.Globalization;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// A stranger whose network, sender and recipient are seen together for the first time comes back later, as mail servers do and many a
/// sender of spam does not (RFC 6647). What was seen is in storage, for all servers. Who is on a list of those known to be good, and
/// networks from which several came back, are not put off.
/// </summary>
internal sealed class GreylistCheck(
    PolicyFile policy, GreylistStore store, GreylistRoom room, DnsLists lists, ClientNames names, IngressTelemetry telemetry, TimeProvider time) : ICheck
{
    /// <summary>Longest wait for the name of a client's address; then it is not excepted by that.</summary>
    private static readonly TimeSpan s_nameWait = TimeSpan.FromSeconds(5);

    private const int MaxAllowed = 10_000;

    private static readonly TimeSpan s_allowedFor = TimeSpan.FromMinutes(5);

    // Networks from which nobody is put off: those that send most cost no question.
    private readonly ConcurrentDictionary<string, long> _allowed = [];

    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        policy.Current.Greylisting is not { } greylisting || !context.IsStrangerOn(greylisting.Options.Listeners) || context.Recipient.IsPostmaster
            ? new(Verdict.GoOn) : JudgeAsync(context, greylisting, cancellation);

    private async ValueTask<Verdict> JudgeAsync(CheckContext context, Greylisting greylisting, CancellationToken cancellation)
    {
        var network = greylisting.NetworkOf(context.Client!);
        if (IsRememberedAllowed(network) || await IsExceptedAsync(context, greylisting) || await IsAllowedAsync(network, greylisting, cancellation))
        {
            telemetry.Greylisted("excepted");
            return Verdict.GoOn;
        }

        var triplet = GreylistStore.KeyOf(network, MailName.Key(context.Transaction.Sender?.Canonical ?? ""), MailName.Key(context.Recipient.Canonical));
        var seen = await store.FindAsync(triplet, cancellation);
        if (seen is null && !await room.TakeAsync(greylisting.Options.MaxRows, cancellation))
        {
            // Whoever fills it up would else keep out all those who have not been here before.
            telemetry.Greylisted("full");
            return Verdict.GoOn;
        }

        seen ??= await store.SeeAsync(triplet, greylisting.Options.RetryWithin);
        var now = time.GetUtcNow();
        var (decision, wait) = greylisting.Decide(seen, now);
        switch (decision)
        {
            case GreylistDecision.Defer:
                telemetry.Greylisted("deferred");
                return new(new SmtpReply(
                    451, "4.7.1", string.Create(CultureInfo.InvariantCulture, $"Not seen before, try again in {Math.Ceiling(wait.TotalSeconds)} seconds")));
            case GreylistDecision.Pass:
                await store.PassAsync(triplet, network, greylisting.Options.Keep);
                telemetry.Greylisted("passed");
                return Verdict.GoOn;
            default:
                if (greylisting.IsToBeKept(seen.ExpiresAt, now))
                    await store.PassAsync(triplet, null, greylisting.Options.Keep);
                telemetry.Greylisted("known");
                return Verdict.GoOn;
        }
    }

    private async ValueTask<bool> IsExceptedAsync(CheckContext context, Greylisting greylisting)
    {
        if (greylisting.IsExcepted(context.Client!, context.Transaction.Sender, context.Recipient))
            return true;
        using var elsewhere = context.Patience?.BeginElsewhereWait();
        if (policy.Current.DnsLists is { } asked && context.IsStrangerOn(asked.Options.Listeners)
            && (await context.Inquiry.ScoreAsync(context.Client!, asked, lists)).Score < 0)
            return true;
        if (!greylisting.AsksHost)
            return false;
        using var patience = new CancellationTokenSource(s_nameWait, time);
        return greylisting.IsExcepted(await ClientInquiry.AnswerAsync(context.Inquiry.ReverseNameAsync(context.Client!, names), patience.Token));
    }

    private async ValueTask<bool> IsAllowedAsync(string network, Greylisting greylisting, CancellationToken cancellation)
    {
        if (greylisting.Options.AllowNetworkAfter == 0)
            return false;
        var known = await store.FindNetworkAsync(network, cancellation);
        if (!greylisting.IsAllowed(known))
            return false;
        if (greylisting.IsToBeKept(known!.ExpiresAt, time.GetUtcNow()))
            await store.KeepNetworkAsync(network, greylisting.Options.Keep);
        if (_allowed.Count >= MaxAllowed)
            _allowed.Clear();
        _allowed[network] = time.GetTimestamp();
        return true;
    }

    private bool IsRememberedAllowed(string network) => _allowed.TryGetValue(network, out var at) && time.GetElapsedTime(at) < s_allowedFor;
}
