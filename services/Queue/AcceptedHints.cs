using System.Threading.Channels;
using MailPipeline.Mail;

namespace MailPipeline.Queue;

/// <summary>
/// Messages that this process accepted itself (reports to senders), on their way to the router. A hint that is dropped is
/// found by the warden.
/// </summary>
internal sealed class AcceptedHints
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
