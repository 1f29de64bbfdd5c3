using System.Net;
using System.Net.Sockets;
using MailPipeline.Storage;

namespace MailPipeline.Delivery.Sources;

/// <summary>
/// Which address of a pool the next connection comes from: by weight, among those that are of the right kind, on this machine, in order, below their bound of
/// connections, and whose plan of the day has messages left. Who finds all of these at their bound may wait, in the order in which they came.
/// </summary>
internal sealed class SourceSlots
{
    /// <summary>An egress that is away is tried again after so long, by one connection that anybody makes.</summary>
    internal static readonly TimeSpan FaultTime = TimeSpan.FromSeconds(10);

    private readonly SourcesFile _file;
    private readonly HostSources _here;
    private readonly DeliveryTelemetry _telemetry;
    private readonly Random _random;
    private readonly TimeProvider _time;
    private readonly SourceLog _log;
    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, int> _open = [];
    private readonly Dictionary<IPAddress, (long At, string Text)> _faults = [];
    private readonly Dictionary<(string Pool, AddressFamily Family), LinkedList<TaskCompletionSource<Source?>>> _waiting = [];

    public SourceSlots(
        SourcesFile file, HostSources here, SourcePlans plans, DeliveryTelemetry telemetry, Random random, TimeProvider time, SourceLog log)
    {
        (_file, _here, Plans, _telemetry, _random, _time, _log) = (file, here, plans, telemetry, random, time, log);
        file.Changed += WakeAll;
        telemetry.WatchSources(Measure);
    }

    public SourcePlans Plans { get; }

    /// <summary>Whose mail leaves from which pool, as of now.</summary>
    public SourceTable Table => _file.Current;

    /// <summary>Some source of the pool, wherever it is, reaches addresses of this kind.</summary>
    public bool Reaches(string pool, AddressFamily family) => Table.SourcesOf(pool).Any(source => source.Family == family && source.Weight > 0);

    /// <summary>Connections to several addresses of a host may be begun at once: whether one stands is known before anything is said.</summary>
    /// <param name="isCounted">Not even for a moment there may be two.</param>
    public bool MayRace(string pool, bool isCounted) =>
        Table.SourcesOf(pool).All(source => source.Egress is null || (source.Egress.Kind == EgressKind.Socks5 && !isCounted));

    /// <summary>A source for a connection, or why there is none.</summary>
    /// <param name="messages">There is mail for so many; 0: none is to be sent.</param>
    /// <param name="mayWait">Where all are at their bound, until a connection ends.</param>
    public async ValueTask<(SourceLease? Lease, SourceLack? Lack)> TakeAsync(
        string pool, AddressFamily family, int messages, bool mayWait, CancellationToken cancellationToken)
    {
        while (true)
        {
            Source? source;
            SourceLack? lack;
            LinkedListNode<TaskCompletionSource<Source?>>? waiter = null;
            lock (_lock)
            {
                source = TryPick(pool, family, messages > 0, out lack);
                if (source is null && lack!.Kind == SourceLackKind.Busy && mayWait)
                    waiter = Queue(pool, family).AddLast(new TaskCompletionSource<Source?>(TaskCreationOptions.RunContinuationsAsynchronously));
            }

            if (waiter is not null)
                source = await WaitAsync(waiter, cancellationToken);
            else if (source is null)
                return (null, lack);
            if (source is null)
                continue;
            try
            {
                var allowance = messages > 0 ? await Plans.TakeAsync(source, messages) : new MessageAllowance(0);
                if (messages == 0 || !allowance.IsSpent)
                    return (new SourceLease(this, source, allowance), null);
                // Others of the pool may have some left.
                Release(source);
            }
            catch (StorageUnavailableException away)
            {
                Release(source);
                return (null, new SourceLack(SourceLackKind.Fault, $"Storage has no answer for the plan of {source.Name}: {away.Message}"));
            }
            catch
            {
                Release(source);
                throw;
            }
        }
    }

    internal void Return(Source source, MessageAllowance allowance)
    {
        if (allowance.Used > 0)
            _telemetry.SourceSent(source.Name, allowance.Used);
        Plans.GiveBack(source, allowance);
    }

    internal void Release(Source source)
    {
        lock (_lock)
        {
            Count(source, -1);
            Serve(source.Pool, source.Family);
        }
    }

    internal void NoteFault(Source source, SourceFaultException fault)
    {
        lock (_lock)
        {
            _faults[source.Address] = (_time.GetTimestamp(), fault.Message);
            _here.Forget(source);
        }

        _log.Faulty(source.Name, fault.Message);
    }

    /// <summary>Recipients are put off for it.</summary>
    public void NoteLack(string pool, SourceLack lack, int recipients, DateTimeOffset until) => _log.Lacking(pool, lack, recipients, until);

    /// <summary>Null: it is to be looked for again.</summary>
    private async Task<Source?> WaitAsync(LinkedListNode<TaskCompletionSource<Source?>> waiter, CancellationToken cancellationToken)
    {
        using var registration = cancellationToken.UnsafeRegister(_ => Leave(waiter, cancellationToken), null);
        return await waiter.Value.Task;
    }

    private void Leave(LinkedListNode<TaskCompletionSource<Source?>> waiter, CancellationToken cancellationToken)
    {
        lock (_lock)
            waiter.List?.Remove(waiter);
        waiter.Value.TrySetCanceled(cancellationToken);
    }

    private LinkedList<TaskCompletionSource<Source?>> Queue(string pool, AddressFamily family)
    {
        if (!_waiting.TryGetValue((pool, family), out var queue))
            _waiting.Add((pool, family), queue = []);
        return queue;
    }

    /// <summary>Hands what is free to those that wait for it.</summary>
    private void Serve(string pool, AddressFamily family)
    {
        if (!_waiting.TryGetValue((pool, family), out var queue))
            return;
        while (queue.First is { } first)
        {
            var source = TryPick(pool, family, withPlan: true, out var lack);
            if (source is null && lack!.Kind == SourceLackKind.Busy)
                return;
            // Where there is another reason than that by now, who waits is to hear of it.
            queue.RemoveFirst();
            if (!first.Value.TrySetResult(source) && source is not null)
                Count(source, -1);
        }

        _waiting.Remove((pool, family));
    }

    private void WakeAll()
    {
        lock (_lock)
        {
            foreach (var waiter in _waiting.Values.SelectMany(queue => queue).ToList())
                waiter.TrySetResult(null);
            _waiting.Clear();
        }
    }

    /// <summary>Counts a connection of the source that it gives.</summary>
    private Source? TryPick(string pool, AddressFamily family, bool withPlan, out SourceLack? lack)
    {
        var all = Table.SourcesOf(pool);
        List<Source> usable = [];
        var (isBusy, isElsewhere, isSpent, hasFamily) = (false, false, false, false);
        string? fault = null;
        foreach (var source in all)
        {
            if (source.Family != family || source.Weight == 0)
                continue;
            hasFamily = true;
            if (!_here.Has(source))
                isElsewhere = true;
            else if (withPlan && Plans.IsExhausted(source))
                isSpent = true;
            else if (FaultOf(source) is { } text)
                fault = text;
            else if (source.Connections > 0 && _open.GetValueOrDefault(source.Address) >= source.Connections)
                isBusy = true;
            else
                usable.Add(source);
        }

        lack = null;
        if (usable.Count > 0)
        {
            var picked = usable.Count == 1 ? usable[0] : Weighted(usable);
            Count(picked, 1);
            return picked;
        }

        lack = isBusy ? new SourceLack(SourceLackKind.Busy, $"The addresses of pool {pool} have as many connections as they may")
            : fault is not null ? new SourceLack(SourceLackKind.Fault, fault)
            : isElsewhere ? new SourceLack(SourceLackKind.Elsewhere, $"{Environment.MachineName} has no address of pool {pool} that can be used now")
            : isSpent ? new SourceLack(SourceLackKind.Plan, $"The addresses of pool {pool} have sent what their plan of today lets them")
            : hasFamily || all.Count > 0 ? new SourceLack(SourceLackKind.Family, $"Pool {pool} has no {(family == AddressFamily.InterNetwork ? "IPv4" : "IPv6")} address")
            : new SourceLack(SourceLackKind.Elsewhere, $"There is no pool {pool} any more");
        return null;
    }

    private void Count(Source source, int change)
    {
        var count = _open.GetValueOrDefault(source.Address) + change;
        if (count == 0)
            _open.Remove(source.Address);
        else
            _open[source.Address] = count;
    }

    private string? FaultOf(Source source)
    {
        if (!_faults.TryGetValue(source.Address, out var fault))
            return null;
        if (_time.GetElapsedTime(fault.At) < FaultTime)
            return fault.Text;
        _faults.Remove(source.Address);
        return null;
    }

    private Source Weighted(List<Source> sources)
    {
        var at = _random.NextInt64(sources.Sum(source => (long)source.Weight));
        foreach (var source in sources)
        {
            at -= source.Weight;
            if (at < 0)
                return source;
        }

        return sources[^1];
    }

    private (string Source, int Connections)[] Measure()
    {
        lock (_lock)
            return [.. Table.Sources.Select(source => (source.Name, _open.GetValueOrDefault(source.Address)))];
    }
}
