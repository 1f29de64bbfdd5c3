using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery;

/// <summary>
/// How many SMTP connections may be open at once, and those that wait a short while for the next batch of their domain. An
/// idle connection keeps its slot until somebody needs it.
/// </summary>
internal sealed class ConnectionSlots(int limit, TimeSpan idleTime, TimeProvider time) : IAsyncDisposable
{
    // By the machine's clock, whatever the time-outs are: a report must not wait for a far end that has nothing more to say.
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly LinkedList<Idle> _idle = [];
    private readonly LinkedList<TaskCompletionSource> _waiting = [];
    private ITimer? _timer;
    private int _taken;

    public int Taken
    {
        get
        {
            lock (_lock)
                return _taken;
        }
    }

    /// <summary>
    /// Takes a slot, waiting for one if it must, and with it the idle connection of the domain if there is one. The slot goes
    /// back by <see cref="Release"/> or <see cref="Keep"/>.
    /// </summary>
    public async Task<SmtpClientConnection?> TakeAsync(string domain, CancellationToken cancellationToken)
    {
        LinkedListNode<TaskCompletionSource> waiter;
        SmtpClientConnection? evicted = null;
        lock (_lock)
        {
            if (TakeIdle(domain) is { } connection)
                return connection;
            if (_taken < limit)
            {
                _taken++;
                return null;
            }

            evicted = TakeOldest();
            waiter = new(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            if (evicted is null)
                _waiting.AddLast(waiter);
        }

        if (evicted is not null)
        {
            _ = evicted.QuitAsync();
            return null;
        }

        using var registration = cancellationToken.UnsafeRegister(_ => GiveUp(waiter, cancellationToken), null);
        await waiter.Value.Task;
        return null;
    }

    /// <summary>Gives a slot back whose connection is closed.</summary>
    public void Release()
    {
        lock (_lock)
            PassOn();
    }

    /// <summary>
    /// Gives a slot back with a connection that is ready for another MAIL. Without an idle time it is over when the far end
    /// has let go of it, so that the report that follows does not make room for a connection beside it.
    /// </summary>
    public async Task KeepAsync(string domain, SmtpClientConnection connection)
    {
        if (idleTime == TimeSpan.Zero)
        {
            var quit = connection.QuitAsync();
            if (await Task.WhenAny(quit, Task.Delay(s_farewell, TimeProvider.System)) != quit)
                await connection.DisposeAsync();
            Release();
            return;
        }

        lock (_lock)
        {
            if (_waiting.Count == 0)
            {
                _idle.AddLast(new Idle(domain, connection, time.GetTimestamp()));
                if (_idle.Count == 1)
                    Schedule(idleTime);
                return;
            }

            PassOn();
        }

        _ = connection.QuitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        List<Idle> idle;
        lock (_lock)
        {
            idle = [.. _idle];
            _idle.Clear();
            _taken -= idle.Count;
            _timer?.Dispose();
        }

        await Task.WhenAll(idle.Select(item => item.Connection.QuitAsync()));
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

    private SmtpClientConnection? TakeOldest()
    {
        if (_idle.First is not { } oldest)
            return null;
        _idle.RemoveFirst();
        return oldest.Value.Connection;
    }

    private void PassOn()
    {
        while (_waiting.First is { } waiter)
        {
            _waiting.RemoveFirst();
            if (waiter.Value.TrySetResult())
                return;
        }

        _taken--;
    }

    private void GiveUp(LinkedListNode<TaskCompletionSource> waiter, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (waiter.List is not null)
                _waiting.Remove(waiter);
            waiter.Value.TrySetCanceled(cancellationToken);
        }
    }

    private void Schedule(TimeSpan due)
    {
        _timer ??= time.CreateTimer(_ => CloseExpired(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _timer.Change(due, Timeout.InfiniteTimeSpan);
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
                PassOn();
            }
        }

        foreach (var connection in expired)
            _ = connection.QuitAsync();
    }

    private sealed record Idle(string Domain, SmtpClientConnection Connection, long Since);
}

/// <summary>Separate slots for domains in good standing and for failing ones, so that dead hosts hold up nobody.</summary>
internal sealed class DeliveryLanes(IOptions<DeliveryOptions> options, TimeProvider time) : IAsyncDisposable
{
    public ConnectionSlots Healthy { get; } = new(options.Value.Connections, options.Value.IdleTime, time);

    public ConnectionSlots Retry { get; } = new(options.Value.RetryConnections, options.Value.IdleTime, time);

    public async ValueTask DisposeAsync()
    {
        await Healthy.DisposeAsync();
        await Retry.DisposeAsync();
    }
}
