using System.Threading.Channels;
using MailPipeline.Contracts;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Reports that this process accepted itself, on their way to the router. A report that is dropped here is in storage, and the reconciler
/// finds it there.
/// </summary>
internal sealed class AcceptedReports
{
    private readonly Channel<AcceptedMessage> _channel = Channel.CreateBounded<AcceptedMessage>(
        new BoundedChannelOptions(1000) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    public void Offer(AcceptedMessage message) => _channel.Writer.TryWrite(message);

    /// <summary>All that wait, at least one.</summary>
    public async Task<IReadOnlyList<AcceptedMessage>> TakeAsync(CancellationToken cancellationToken)
    {
        var messages = new List<AcceptedMessage> { await _channel.Reader.ReadAsync(cancellationToken) };
        while (messages.Count < 200 && _channel.Reader.TryRead(out var message))
            messages.Add(message);
        return messages;
    }
}
