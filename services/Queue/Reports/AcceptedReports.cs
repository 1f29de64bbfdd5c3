using System.Threading.Channels;
using MailPipeline.Mail;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Reports that this process accepted itself, on their way to the router. A report that is dropped here is in storage, and the reconciler
/// finds it there.
/// </summary>
internal sealed class AcceptedReports
{
    private readonly Channel<Envelope> _channel = Channel.CreateBounded<Envelope>(
        new BoundedChannelOptions(1000) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    public void Offer(Envelope message) => _channel.Writer.TryWrite(message);

    /// <summary>All that wait, at least one.</summary>
    public async Task<IReadOnlyList<Envelope>> TakeAsync(CancellationToken cancellationToken)
    {
        var messages = new List<Envelope> { await _channel.Reader.ReadAsync(cancellationToken) };
        while (messages.Count < 200 && _channel.Reader.TryRead(out var message))
            messages.Add(message);
        return messages;
    }
}
