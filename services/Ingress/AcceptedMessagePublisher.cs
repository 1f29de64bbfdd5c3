using System.Threading.Channels;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Ingress;

/// <summary>
/// Tells the queue of accepted messages, as many as have gathered in one <see cref="MessageAccepted"/>. Only a hint: what is
/// dropped here (bus away, too much at once, process killed) is in storage, and the reconciler finds it there.
/// </summary>
internal sealed partial class AcceptedMessagePublisher(MailBus bus, IngressTelemetry telemetry, TimeProvider time, ILogger<AcceptedMessagePublisher> log)
    : BackgroundService
{
    /// <summary>Messages of one hint.</summary>
    private const int MaxBatch = 200;

    /// <summary>Messages that wait while the bus is away.</summary>
    private const int MaxWaiting = 10_000;

    /// <summary>Recipients of all that wait, which are what takes memory: some megabytes. One message may have more, and then waits alone.</summary>
    private const int MaxWaitingRecipients = 50_000;

    /// <summary>
    /// Least time between two hints that are not full: under load fewer and larger ones, while a message that comes alone is
    /// told of at once.
    /// </summary>
    private static readonly TimeSpan s_pace = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan s_lastSend = TimeSpan.FromSeconds(2);

    private readonly Channel<Envelope> _waiting = Channel.CreateBounded<Envelope>(
        new BoundedChannelOptions(MaxWaiting) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });

    /// <summary>Ends the pause between two batches: nothing more will come.</summary>
    private readonly TaskCompletionSource _stopping = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private int _recipients;

    /// <summary>Never waits.</summary>
    public void Offer(Envelope message)
    {
        var count = message.Recipients.Length;
        var all = Interlocked.Add(ref _recipients, count);
        if ((all <= MaxWaitingRecipients || all == count) && _waiting.Writer.TryWrite(message))
            return;
        Interlocked.Add(ref _recipients, -count);
        telemetry.HintsLost(1);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        // No session is left by now: what has gathered goes out, if the bus takes it.
        _waiting.Writer.TryComplete();
        _stopping.TrySetResult();
        if (ExecuteTask is { } sending)
            await sending.WaitAsync(s_lastSend, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var batch = new List<Envelope>(MaxBatch);
        try
        {
            while (await _waiting.Reader.WaitToReadAsync(stoppingToken))
            {
                var started = time.GetTimestamp();
                while (batch.Count < MaxBatch && _waiting.Reader.TryRead(out var message))
                {
                    batch.Add(message);
                    Interlocked.Add(ref _recipients, -message.Recipients.Length);
                }

                await SendAsync([.. batch], stoppingToken);
                var full = batch.Count == MaxBatch;
                batch.Clear();
                if (!full && s_pace - time.GetElapsedTime(started) is { Ticks: > 0 } rest)
                    await Task.WhenAny(Task.Delay(rest, time, stoppingToken), _stopping.Task);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // What is left is found in storage.
        }
    }

    private async Task SendAsync(Envelope[] messages, CancellationToken cancellation)
    {
        try
        {
            await bus.SendAsync(BusEndpoints.MessageAccepted, messages.ToMessageAccepted(), cancellation);
        }
        catch (BusUnavailableException away)
        {
            telemetry.HintsLost(messages.Length);
            LogNotTold(log, messages.Length, away);
        }
    }

    [LoggerMessage(1020, LogLevel.Warning, "The queue could not be told of {Count} accepted messages; the reconciler will find them")]
    private static partial void LogNotTold(ILogger log, int count, Exception exception);
}
