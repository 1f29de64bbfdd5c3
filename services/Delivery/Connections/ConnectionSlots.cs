using System.Net;
using MailPipeline.Delivery.Smtp;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Delivery.Connections;

/// <summary>Bounds of one pool of connections.</summary>
/// <param name="Connections">That get on.</param>
/// <param name="Stalled">That only wait for their far end, beside the former.</param>
/// <param name="Reserve">Share of the connections for destinations that answered lately.</param>
/// <param name="Probation">A connection may be without a result so long while others wait and there is no room for another stalled one.</param>
internal sealed record SlotLimits(int Connections, int Stalled, double Reserve, TimeSpan Probation);

/// <summary>
/// How many SMTP connections may be open at once, and those that wait a short while for the next batch of their domain, or for the one that has
/// their permit. An idle connection keeps its slot until somebody needs it.
/// Far ends that are slow to answer must hold up nobody who is not. A share of the slots is kept for destinations that answered lately.
/// While somebody waits, a connection that has had no result for a while only waits, which costs a socket and no more: it is counted
/// apart as stalled, and another takes its slot. When there is no room for more stalled ones, those on probation that have had no result
/// for <see cref="SlotLimits.Probation"/> are ended, and if there are none, those of who answered lately after three times that. Who has nothing open to his destination goes before those who have.
/// </summary>
internal sealed class ConnectionSlots : IAsyncDisposable
{
    /// <summary>A destination that has not answered lately and gives no result for so long is waited for without a slot.</summary>
    internal static readonly TimeSpan StalledAfter = TimeSpan.FromSeconds(1);

    /// <summary>Who answered lately and then does not is waited for so many times longer before his connection is ended.</summary>
    private const int KnownProbations = 3;

    private readonly SlotLimits _limits;
    private readonly TimeSpan _idleTime;
    private readonly RecentEvents _answered;
    private readonly TimeProvider _time;
    private readonly int _mostOnProbation;

    /// <summary>Connections without a result to one address, beyond which others that wait go first.</summary>
    private readonly int _addressShare;

    private readonly Lock _lock = new();
    private readonly IdleConnections _idle;
    private readonly WaitingTurns _waiting = new();

    // Each oldest first: who answered lately, by the last result; the others; and those of both that are waited for without a slot.
    private readonly LinkedList<ConnectionSlot> _known = [];
    private readonly LinkedList<ConnectionSlot> _onProbation = [];
    private readonly LinkedList<ConnectionSlot> _stalled = [];
    private readonly DestinationCounts _unanswered = new();
    /// <summary>Counted connections that are being closed, by the batch that left them: whoever has their permit waits for that.</summary>
    private readonly Dictionary<long, Task> _closing = [];
    private readonly ITimer _idleTimer;
    private readonly ITimer _waitTimer;
    private int _taken;
    private bool _isDisposed;

    /// <summary>Connections that are given up and not closed yet.</summary>
    private int _givenUp;

    public ConnectionSlots(SlotLimits limits, TimeSpan idleTime, RecentEvents answered, TimeProvider time)
    {
        _limits = limits;
        _idleTime = idleTime;
        _answered = answered;
        _time = time;
        _mostOnProbation = limits.Connections - (int)(limits.Connections * limits.Reserve);
        _addressShare = Math.Max(1, limits.Connections / 20);
        _idle = new IdleConnections(time);
        _idleTimer = time.CreateTimer(_ => CloseExpired(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _waitTimer = time.CreateTimer(_ => MakeRoom(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Connections that hold a slot, the idle ones among them.</summary>
    public int Taken
    {
        get
        {
            lock (_lock)
                return _taken;
        }
    }

    /// <summary>Connections that only wait for their far end, and hold none.</summary>
    public int Stalled
    {
        get
        {
            lock (_lock)
                return _stalled.Count;
        }
    }

    /// <summary>A slot that is free now, and with it the idle connection of the domain if there is one; null when it has to be waited for.</summary>
    public ConnectionSlot? TryTake(string domain, IPAddress address)
    {
        ConnectionSlot slot;
        lock (_lock)
        {
            if (_idle.Take(domain) is { } connection)
                return Open(domain, address, isKnown: true, connection);
            var isKnown = IsKnown(domain, address);
            if (!isKnown && _onProbation.Count >= _mostOnProbation)
                return null;
            if (_taken < _limits.Connections)
                _taken++;
            else if (_idle.TakeFirst() is { } evicted)
                Close(evicted);
            else
                return null;
            slot = Open(domain, address, isKnown);
        }

        return slot;
    }

    /// <summary>The connection that this batch has left is there for the next one.</summary>
    public bool HasKept(long after)
    {
        lock (_lock)
            return _idle.Has(after);
    }

    /// <summary>
    /// The slot of the connection that a batch has left, with it; null when it is not there any more. Then it is closed when this ends: a
    /// connection in its place is no second one.
    /// </summary>
    public async Task<ConnectionSlot?> TakeKeptAsync(long after, string domain, IPAddress address)
    {
        Task? closing;
        lock (_lock)
        {
            if (_idle.Take(after) is { } connection)
                return Open(domain, address, isKnown: true, connection);
            closing = _closing.GetValueOrDefault(after);
        }

        await (closing ?? Task.CompletedTask);
        return null;
    }

    /// <summary>The connection that a batch has left is closed, whether its time is over or not.</summary>
    public async Task EndKeptAsync(long after)
    {
        Task? closing;
        lock (_lock)
        {
            if (_idle.Take(after) is { } connection)
            {
                _taken--;
                Close(new IdleConnection("", after, connection, 0));
                Serve();
            }

            closing = _closing.GetValueOrDefault(after);
        }

        await (closing ?? Task.CompletedTask);
    }

    /// <summary>Takes a slot, waiting for one if it must.</summary>
    public async Task<ConnectionSlot> TakeAsync(string domain, IPAddress address, CancellationToken cancellationToken)
    {
        if (TryTake(domain, address) is { } free)
            return free;
        LinkedListNode<WaitingTurn> waiter;
        lock (_lock)
        {
            waiter = _waiting.Add(new WaitingTurn(domain, address, IsKnown(domain, address)));
            // Somebody may have given one back meanwhile.
            Serve();
        }

        using var registration = cancellationToken.UnsafeRegister(_ => Leave(waiter, cancellationToken), null);
        return await waiter.Value.Slot.Task;
    }

    public async ValueTask DisposeAsync()
    {
        List<SmtpClientConnection> idle = [];
        lock (_lock)
        {
            while (_idle.TakeFirst() is { } first)
                idle.Add(first.Connection);
            _taken -= idle.Count;
            _isDisposed = true;
            _idleTimer.Dispose();
            _waitTimer.Dispose();
        }

        await Task.WhenAll(idle.Select(connection => connection.QuitAsync()));
    }

    internal void Answered(ConnectionSlot slot)
    {
        // Many messages a second say it once.
        if (slot.IsKnown && _time.GetElapsedTime(slot.Since) < StalledAfter)
            return;
        lock (_lock)
        {
            if (slot.IsReturned)
                return;
            var late = _time.GetElapsedTime(slot.Since) >= _limits.Probation;
            // One that was stalled counts again, beyond the limit if it must, until others end.
            if (Close(slot))
                _taken++;
            slot.IsKnown |= !late;
            slot.Since = _time.GetTimestamp();
            if (slot.IsKnown)
                _known.AddLast(slot.Place);
            else
                Probe(slot);
            if (!late)
            {
                _answered.Note(slot.Domain);
                _answered.Note(slot.Address.ToString());
                _waiting.Promote(slot.Domain, slot.Address);
            }

            Serve();
        }
    }

    internal void Failed(ConnectionSlot slot)
    {
        _answered.Forget(slot.Domain);
        _answered.Forget(slot.Address.ToString());
    }

    internal void Release(ConnectionSlot slot)
    {
        lock (_lock)
        {
            if (slot.IsReturned)
                return;
            slot.IsReturned = true;
            if (!Close(slot))
                _taken--;
            Serve();
        }

        slot.Dispose();
    }

    internal async Task KeepAsync(ConnectionSlot slot, SmtpClientConnection connection)
    {
        if (_idleTime == TimeSpan.Zero)
        {
            await connection.QuitSoonAsync();
            Release(slot);
            return;
        }

        lock (_lock)
        {
            if (TryKeep(slot, 0, connection, _idleTime))
                return;
        }

        Release(slot);
        _ = connection.QuitAsync();
    }

    /// <summary>True: it is kept for who comes with the permit of this batch next.</summary>
    internal bool TryKeepCounted(ConnectionSlot slot, SmtpClientConnection connection, long after, TimeSpan left)
    {
        lock (_lock)
            return left > TimeSpan.Zero && TryKeep(slot, after, connection, left);
    }

    private bool TryKeep(ConnectionSlot slot, long after, SmtpClientConnection connection, TimeSpan left)
    {
        if (_waiting.Count > 0 || slot.IsReturned || _isDisposed)
            return false;
        slot.IsReturned = true;
        if (Close(slot))
            _taken++;
        _idle.Add(slot.Domain, after, connection, left);
        ScheduleExpiry();
        return true;
    }

    /// <summary>Says goodbye in the background. Of one that is counted it is known until then.</summary>
    private void Close(IdleConnection idle)
    {
        var closing = CloseAsync(idle);
        if (idle.After != 0)
            _closing[idle.After] = closing;
    }

    private async Task CloseAsync(IdleConnection idle)
    {
        // Not under the lock.
        await Task.Yield();
        if (idle.After == 0)
        {
            await idle.Connection.QuitAsync();
            return;
        }

        await idle.Connection.QuitSoonAsync();
        lock (_lock)
            _closing.Remove(idle.After);
    }

    private bool IsKnown(string domain, IPAddress address) => _answered.Has(domain) || _answered.Has(address.ToString());

    private ConnectionSlot Open(string domain, IPAddress address, bool isKnown, SmtpClientConnection? kept = null)
    {
        var slot = new ConnectionSlot(this, domain, address, isKnown, _time.GetTimestamp()) { Kept = kept };
        if (isKnown)
            _known.AddLast(slot.Place);
        else
            Probe(slot);
        return slot;
    }

    private void Probe(ConnectionSlot slot)
    {
        _onProbation.AddLast(slot.Place);
        _unanswered.Add(slot.Domain, slot.Address);
    }

    /// <summary>Takes it from where it is counted. True: as stalled, and so it held no place among the connections.</summary>
    private bool Close(ConnectionSlot slot)
    {
        var wasStalled = slot.Place.List == _stalled;
        slot.Place.List?.Remove(slot.Place);
        if (!slot.IsKnown)
            _unanswered.Remove(slot.Domain, slot.Address);
        if (slot.IsGivenUp)
            _givenUp--;
        slot.IsGivenUp = false;
        return wasStalled;
    }

    /// <summary>Hands what is free to those that wait: who answered lately first, then the others in turn.</summary>
    private void Serve()
    {
        while (_taken < _limits.Connections && Next() is { } next)
        {
            WaitingTurns.Remove(next);
            var waiter = next.Value;
            var slot = Open(waiter.Domain, waiter.Address, waiter.IsKnown);
            _taken++;
            if (waiter.Slot.TrySetResult(slot))
                continue;
            slot.IsReturned = true;
            Close(slot);
            _taken--;
        }

        ScheduleRoom();
    }

    private LinkedListNode<WaitingTurn>? Next() =>
        _waiting.FirstKnown ?? (_onProbation.Count < _mostOnProbation ? _waiting.FirstOther(_unanswered, _addressShare) : null);

    private void Leave(LinkedListNode<WaitingTurn> waiter, CancellationToken cancellationToken)
    {
        lock (_lock)
            WaitingTurns.Remove(waiter);
        waiter.Value.Slot.TrySetCanceled(cancellationToken);
    }

    private void ScheduleExpiry()
    {
        if (_idle.Left is { } left)
            _idleTimer.Change(left > TimeSpan.Zero ? left : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    private void CloseExpired()
    {
        lock (_lock)
        {
            while (_idle.TakeExpired() is { } expired)
            {
                _taken--;
                Close(expired);
            }

            if (!_isDisposed)
                ScheduleExpiry();
            Serve();
        }
    }

    /// <summary>Somebody waits: the timer goes off when the next connection may be counted as stalled, or be ended.</summary>
    private void ScheduleRoom()
    {
        if (_waiting.Count == 0)
            return;
        var due = _stalled.Count < _limits.Stalled
            ? Earlier(Left(_onProbation.First?.Value, StalledAfter), Left(_known.First?.Value, _limits.Probation))
            : _waiting.Count > _givenUp ? Earlier(Left(FirstUnknown(), _limits.Probation), Left(FirstKnownStalled(), KnownProbations * _limits.Probation))
            : null;
        if (due is { } left)
            _waitTimer.Change(left > TimeSpan.Zero ? left : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    private TimeSpan? Left(ConnectionSlot? slot, TimeSpan time) => slot is null ? null : time - _time.GetElapsedTime(slot.Since);

    private static TimeSpan? Earlier(TimeSpan? one, TimeSpan? other) => one is null || other < one ? other : one;

    private ConnectionSlot? FirstToEnd()
    {
        if (FirstUnknown() is { } unknown && Left(unknown, _limits.Probation) <= TimeSpan.Zero)
            return unknown;
        return FirstKnownStalled() is { } known && Left(known, KnownProbations * _limits.Probation) <= TimeSpan.Zero ? known : null;
    }

    private ConnectionSlot? FirstUnknown() =>
        _stalled.FirstOrDefault(slot => !slot.IsKnown && slot.MayBeEnded) ?? _onProbation.FirstOrDefault(slot => slot.MayBeEnded);

    private ConnectionSlot? FirstKnownStalled() => _stalled.FirstOrDefault(slot => slot.IsKnown && slot.MayBeEnded);

    private void MakeRoom()
    {
        List<ConnectionSlot> ended = [];
        lock (_lock)
        {
            // As many as are waited for. One that is ended keeps its place until it is closed, which one at its final dot is not.
            while (_waiting.Count > 0 && TryStall())
                Serve();
            while (_stalled.Count >= _limits.Stalled && _waiting.Count > _givenUp && FirstToEnd() is { } oldest)
            {
                oldest.IsGivenUp = true;
                _givenUp++;
                ended.Add(oldest);
            }

            ScheduleRoom();
        }

        foreach (var slot in ended)
            slot.End();
    }

    private bool TryStall()
    {
        if (_stalled.Count >= _limits.Stalled)
            return false;
        var slot = Left(_onProbation.First?.Value, StalledAfter) <= TimeSpan.Zero ? _onProbation.First!.Value
            : Left(_known.First?.Value, _limits.Probation) <= TimeSpan.Zero ? _known.First!.Value
            : null;
        if (slot is null)
            return false;
        slot.Place.List!.Remove(slot.Place);
        _stalled.AddLast(slot.Place);
        _taken--;
        return true;
    }
}
