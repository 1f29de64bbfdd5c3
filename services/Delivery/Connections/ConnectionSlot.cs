using System.Net;
using MailPipeline.Delivery.Smtp;

namespace MailPipeline.Delivery.Connections;

/// <summary>
/// The right to one SMTP connection. It is given back once, by <see cref="Release"/>, <see cref="KeepAsync"/> or <see cref="TryKeepCounted"/>. A destination that
/// has not answered lately has it on probation: see <see cref="GiveUp"/>.
/// </summary>
internal sealed class ConnectionSlot : IDisposable
{
    private readonly ConnectionSlots _slots;
    private readonly CancellationTokenSource _givenUp = new();

    internal ConnectionSlot(ConnectionSlots slots, string domain, IPAddress address, bool isKnown, long since)
    {
        _slots = slots;
        Domain = domain;
        Address = address;
        Since = since;
        IsKnown = isKnown;
        Place = new LinkedListNode<ConnectionSlot>(this);
    }

    public string Domain { get; }

    public IPAddress Address { get; }

    /// <summary>The connection that the last batch of the domain has left; null when there is none.</summary>
    public SmtpClientConnection? Kept { get; internal init; }

    /// <summary>
    /// Cancelled when the connection has shown no result for long, others wait, and there is no other room for them: what is not at its
    /// final dot is ended.
    /// </summary>
    public CancellationToken GiveUp => _givenUp.Token;

    /// <summary>The destination has answered lately, or over this connection; otherwise it is on probation.</summary>
    internal bool IsKnown { get; set; }

    /// <summary>When it was taken, or the destination answered last.</summary>
    internal long Since { get; set; }

    /// <summary>Where it is counted; changed under the lock of its owner.</summary>
    internal LinkedListNode<ConnectionSlot> Place { get; }

    internal bool IsReturned { get; set; }

    internal bool IsGivenUp { get; set; }

    /// <summary>It has not been told to end: one that answered all the same is not told twice.</summary>
    internal bool MayBeEnded => !IsGivenUp && !_givenUp.IsCancellationRequested;

    /// <summary>
    /// The destination has answered for a message. When it took less than the probation for it, it is among those that a reserve is kept
    /// for from now on.
    /// </summary>
    public void Answered() => _slots.Answered(this);

    /// <summary>The destination could not be spoken to: nothing is reserved for it any more.</summary>
    public void Failed() => _slots.Failed(this);

    /// <summary>Gives the slot back; its connection is closed.</summary>
    public void Release() => _slots.Release(this);

    /// <summary>
    /// Gives the slot back with a connection that is ready for another MAIL. Without an idle time it is over when the far end
    /// has let go of it, so that the report that follows does not make room for a connection beside it.
    /// </summary>
    public Task KeepAsync(SmtpClientConnection connection) => _slots.KeepAsync(this, connection);

    /// <summary>
    /// Gives the slot back with a connection that is ready for another MAIL, for the batch that comes with this one's permit. False: it cannot be
    /// kept, and nothing is given back.
    /// </summary>
    /// <param name="left">So long at most.</param>
    public bool TryKeepCounted(SmtpClientConnection connection, long batchId, TimeSpan left) => _slots.TryKeepCounted(this, connection, batchId, left);

    public void Dispose() => _givenUp.Dispose();

    internal void End()
    {
        try
        {
            _givenUp.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It was given back in the meantime.
        }
    }
}
