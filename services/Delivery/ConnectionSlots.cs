using System.Net;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery;

/// <summary>
/// How many SMTP connections may be open at once, and those that wait a short while for the next batch of their domain. An
/// idle connection keeps its slot until somebody needs it.
/// A share of the slots is kept for destinations that answered lately. The others have theirs on probation: while anybody waits, a
/// connection without a result is ended after <see cref="DeliveryOptions.Probation"/>, and who waits for an address that has many
/// connections already lets others pass. So tarpits, however many, take neither all slots nor any of them for long.
/// </summary>
internal sealed class ConnectionSlots(
    int limit, double reserve, TimeSpan probation, TimeSpan idleTime, RecentEvents answered, TimeProvider time) : IAsyncDisposable
{
    // By the machine's clock, whatever the time-outs are: a report must not wait for a far end that has nothing more to say.
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(1);

    private readonly int _mostOnProbation = limit - (int)(limit * reserve);

    /// <summary>Connections on probation to one address, beyond which others that wait go first.</summary>
    private readonly int _addressShare = Math.Max(1, limit / 20);

    private readonly Lock _lock = new();
    private readonly LinkedList<Idle> _idle = [];
    private readonly LinkedList<Waiter> _waiting = [];
    private readonly LinkedList<ConnectionSlot> _onProbation = [];
    private readonly Dictionary<IPAddress, int> _probationByAddress = [];
    private ITimer? _idleTimer;
    private ITimer? _probationTimer;
    private int _taken;

    /// <summary>Connections that are given up and still hold their slots.</summary>
    private int _givenUp;

    public int Taken
    {
        get
        {
            lock (_lock)
                return _taken;
        }
    }

    /// <summary>A slot that is free now, and with it the idle connection of the domain if there is one; null when it has to be waited for.</summary>
    public ConnectionSlot? TryTake(string domain, IPAddress address)
    {
        Idle? evicted;
        ConnectionSlot slot;
        lock (_lock)
        {
            if (TakeIdle(domain) is { } connection)
                return new ConnectionSlot(this, domain, address, isOnProbation: false, time.GetTimestamp()) { Kept = connection };
            var isKnown = IsKnown(domain, address);
            evicted = null;
            if (!isKnown && _onProbation.Count >= _mostOnProbation)
                return null;
            if (_taken < limit)
                _taken++;
            else if ((evicted = TakeOldest()) is null)
                return null;
            slot = Make(domain, address, isKnown);
        }

        _ = evicted?.Connection.QuitAsync();
        return slot;
    }

    /// <summary>Takes a slot, waiting for one if it must.</summary>
    public async Task<ConnectionSlot> TakeAsync(string domain, IPAddress address, CancellationToken cancellationToken)
    {
        if (TryTake(domain, address) is { } free)
            return free;
        var waiter = new LinkedListNode<Waiter>(new Waiter(domain, address));
        lock (_lock)
        {
            _waiting.AddLast(waiter);
            // Somebody may have given one back meanwhile.
            Serve();
        }

        using var registration = cancellationToken.UnsafeRegister(_ => GiveUp(waiter, cancellationToken), null);
        return await waiter.Value.Task.Task;
    }

    public async ValueTask DisposeAsync()
    {
        List<Idle> idle;
        lock (_lock)
        {
            idle = [.. _idle];
            _idle.Clear();
            _taken -= idle.Count;
            _idleTimer?.Dispose();
            _probationTimer?.Dispose();
        }

        await Task.WhenAll(idle.Select(item => item.Connection.QuitAsync()));
    }

    internal void Answered(ConnectionSlot slot)
    {
        if (time.GetElapsedTime(slot.TakenAt) >= probation && slot.IsOnProbation)
            return;
        answered.Note(slot.Domain);
        answered.Note(slot.Address.ToString());
        lock (_lock)
        {
            EndProbation(slot);
            Serve();
        }
    }

    internal void Failed(ConnectionSlot slot)
    {
        answered.Forget(slot.Domain);
        answered.Forget(slot.Address.ToString());
    }

    internal void Release(ConnectionSlot slot)
    {
        lock (_lock)
        {
            if (slot.IsReturned)
                return;
            slot.IsReturned = true;
            EndProbation(slot);
            _taken--;
            Serve();
        }

        slot.Dispose();
    }

    internal async Task KeepAsync(ConnectionSlot slot, SmtpClientConnection connection)
    {
        if (idleTime == TimeSpan.Zero)
        {
            var quit = connection.QuitAsync();
            if (await Task.WhenAny(quit, Task.Delay(s_farewell, TimeProvider.System)) != quit)
                await connection.DisposeAsync();
            Release(slot);
            return;
        }

        lock (_lock)
        {
            EndProbation(slot);
            if (_waiting.Count == 0 && !slot.IsReturned)
            {
                slot.IsReturned = true;
                _idle.AddLast(new Idle(slot.Domain, connection, time.GetTimestamp()));
                if (_idle.Count == 1)
                    Schedule(idleTime);
                return;
            }
        }

        Release(slot);
        _ = connection.QuitAsync();
    }

    private bool IsKnown(string domain, IPAddress address) => answered.Has(domain) || answered.Has(address.ToString());

    private ConnectionSlot Make(string domain, IPAddress address, bool isKnown)
    {
        var slot = new ConnectionSlot(this, domain, address, isOnProbation: !isKnown, time.GetTimestamp());
        if (isKnown)
            return slot;
        _onProbation.AddLast(slot);
        _probationByAddress[address] = _probationByAddress.GetValueOrDefault(address) + 1;
        return slot;
    }

    private void EndProbation(ConnectionSlot slot)
    {
        if (!slot.IsOnProbation)
            return;
        slot.IsOnProbation = false;
        if (slot.IsGivenUp)
            _givenUp--;
        _onProbation.Remove(slot);
        if (--_probationByAddress[slot.Address] == 0)
            _probationByAddress.Remove(slot.Address);
    }

    /// <summary>Hands what is free to those that wait: who answered lately first, then the others in turn.</summary>
    private void Serve()
    {
        while (_waiting.Count > 0 && _taken < limit && NextWaiter() is { } next)
        {
            _waiting.Remove(next);
            var slot = Make(next.Value.Domain, next.Value.Address, IsKnown(next.Value.Domain, next.Value.Address));
            _taken++;
            if (!next.Value.Task.TrySetResult(slot))
            {
                _taken--;
                EndProbation(slot);
            }
        }

        ScheduleProbation();
    }

    private LinkedListNode<Waiter>? NextWaiter()
    {
        LinkedListNode<Waiter>? fair = null;
        for (var node = _waiting.First; node is not null; node = node.Next)
        {
            if (IsKnown(node.Value.Domain, node.Value.Address))
                return node;
            if (fair is null && _probationByAddress.GetValueOrDefault(node.Value.Address) < _addressShare)
                fair = node;
        }

        return _onProbation.Count < _mostOnProbation ? fair ?? _waiting.First : null;
    }

    private SmtpClientConnection? TakeIdle(string domain)
    {
        for (var node = _idle.Last; node is not null; node = node.Previous)
        {
            if (!string.Equals(node.Value.Domain, domain, StringComparison.Ordinal))
                continue;
            _idle.Remove(node);
            return node.Value.Connection;
        }

        return null;
    }

    private Idle? TakeOldest()
    {
        if (_idle.First is not { } oldest)
            return null;
        _idle.RemoveFirst();
        return oldest.Value;
    }

    private void GiveUp(LinkedListNode<Waiter> waiter, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (waiter.List is not null)
                _waiting.Remove(waiter);
            waiter.Value.Task.TrySetCanceled(cancellationToken);
        }
    }

    private void Schedule(TimeSpan due)
    {
        _idleTimer ??= time.CreateTimer(_ => CloseExpired(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _idleTimer.Change(due, Timeout.InfiniteTimeSpan);
    }

    private void CloseExpired()
    {
        List<SmtpClientConnection> expired = [];
        lock (_lock)
        {
            while (_idle.First is { } oldest)
            {
                var left = idleTime - time.GetElapsedTime(oldest.Value.Since);
                if (left > TimeSpan.Zero)
                {
                    Schedule(left);
                    break;
                }

                _idle.RemoveFirst();
                expired.Add(oldest.Value.Connection);
                _taken--;
            }

            Serve();
        }

        foreach (var connection in expired)
            _ = connection.QuitAsync();
    }

    /// <summary>Somebody waits: the timer goes off when the oldest connection on probation has had its time.</summary>
    private void ScheduleProbation()
    {
        if (_waiting.Count <= _givenUp || _onProbation.FirstOrDefault(slot => !slot.IsGivenUp) is not { } oldest)
            return;
        var left = probation - time.GetElapsedTime(oldest.TakenAt);
        _probationTimer ??= time.CreateTimer(_ => EndProbations(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _probationTimer.Change(left > TimeSpan.Zero ? left : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    private void EndProbations()
    {
        List<ConnectionSlot> ended = [];
        lock (_lock)
        {
            // Not more than are waited for. Each keeps its slot until its connection is closed, which one at its final dot is not.
            foreach (var slot in _onProbation)
            {
                if (_givenUp >= _waiting.Count || time.GetElapsedTime(slot.TakenAt) < probation)
                    break;
                if (slot.IsGivenUp)
                    continue;
                slot.IsGivenUp = true;
                _givenUp++;
                ended.Add(slot);
            }

            ScheduleProbation();
        }

        foreach (var slot in ended)
            slot.End();
    }

    private sealed record Idle(string Domain, SmtpClientConnection Connection, long Since);

    private sealed class Waiter(string domain, IPAddress address)
    {
        public string Domain => domain;

        public IPAddress Address => address;

        public TaskCompletionSource<ConnectionSlot> Task { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>Separate slots for domains in good standing and for failing ones, so that dead hosts hold up nobody.</summary>
internal sealed class DeliveryLanes : IAsyncDisposable
{
    private const int RememberedDestinations = 20_000;

    /// <summary>Who has answered since is worth a reserved slot.</summary>
    private static readonly TimeSpan s_lately = TimeSpan.FromHours(1);

    public DeliveryLanes(IOptions<DeliveryOptions> options, TimeProvider time)
    {
        var answered = new RecentEvents(RememberedDestinations, s_lately, time);
        Healthy = Make(options.Value.Connections);
        Retry = Make(options.Value.RetryConnections);

        ConnectionSlots Make(int limit) =>
            new(limit, options.Value.ReservedShare, options.Value.Probation, options.Value.IdleTime, answered, time);
    }

    public ConnectionSlots Healthy { get; }

    public ConnectionSlots Retry { get; }

    public async ValueTask DisposeAsync()
    {
        await Healthy.DisposeAsync();
        await Retry.DisposeAsync();
    }
}
