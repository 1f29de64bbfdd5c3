using System.Diagnostics;
using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>Something that failed, from when to when results could not be recorded.</summary>
internal sealed record Fault(string What, DateTimeOffset From, DateTimeOffset To);

/// <summary>Makes things fail in a run, counts them, and keeps what each may have left in doubt at far ends.</summary>
/// <param name="lease">How long a claim is held, of <see cref="ClusterRun.Impatient"/>.</param>
internal sealed class Faults(ClusterRun run, Random random, TimeSpan lease)
{
    private static readonly TimeSpan s_moment = TimeSpan.FromSeconds(1);

    /// <summary>Far beyond what is needed: a machine that others use as well starts processes slowly, and how long that takes is not judged here.</summary>
    private static readonly TimeSpan s_recovery = TimeSpan.FromMinutes(5);

    private readonly List<Fault> _doubts = [];
    private readonly List<Fault> _standstills = [];
    private readonly SortedDictionary<string, int> _counts = new(StringComparer.Ordinal);

    public int Kills { get; private set; }

    /// <summary>Silos that stood still: the others may vote them out, and then they end as soon as they learn of it.</summary>
    public int FrozenSilos { get; private set; }

    /// <summary>Deliveries that stood still, with what connections they had.</summary>
    public int FrozenDeliveries { get; private set; }

    /// <summary>Processes that ended without being told to, and were started again.</summary>
    public int EndedByThemselves { get; private set; }

    /// <summary>Copies that far ends had just taken when something failed.</summary>
    public int InDoubt(IReadOnlyList<LedgerRecord> records) => _doubts.Sum(fault => Load.InDoubt(records, fault));

    /// <summary>The longest time between two of these, less the time in which the store or the broker was away.</summary>
    public TimeSpan LongestGap(IReadOnlyList<DateTimeOffset> times)
    {
        var inOrder = times.Order().ToList();
        return inOrder.Zip(inOrder.Skip(1), (from, to) => to - from - _standstills.Aggregate(TimeSpan.Zero, (sum, fault) => sum + Overlap(fault, from, to))).Max();

        static TimeSpan Overlap(Fault fault, DateTimeOffset from, DateTimeOffset to)
        {
            var (begin, end) = (fault.From > from ? fault.From : from, fault.To < to ? fault.To : to);
            return end > begin ? end - begin : TimeSpan.Zero;
        }
    }

    public override string ToString() => string.Join(", ", _counts.Select(count => $"{count.Value} {count.Key}"));

    /// <summary>One of all faults, chosen by the seed.</summary>
    public Task MakeAnyAsync()
    {
        (int Share, Func<Task> Make)[] all =
        [
            (8, () => KillAsync(AnyKind())),
            (4, () => FreezeAsync(AnyKind(), Seconds(3, 15))),
            (2, RestartStoreAsync),
            (2, EndStoreSessionsAsync),
            (2, RestartBrokerAsync),
            (2, CloseBrokerConnectionsAsync),
            (2, () => BlockPublishersAsync(Seconds(5, 20))),
            (2, () => WithoutMembershipAsync(Seconds(5, 30), () => KillAsync(AnyKind(except: ServiceKind.Queue)))),
        ];
        var choice = random.Next(all.Sum(fault => fault.Share));
        foreach (var (share, make) in all)
        {
            choice -= share;
            if (choice < 0)
                return make();
        }
        return Task.CompletedTask;
    }

    public TimeSpan Seconds(double least, double most) => TimeSpan.FromSeconds(least + (random.NextDouble() * (most - least)));

    /// <summary>SIGKILL to one process of a kind; it is started again at once.</summary>
    public async Task KillAsync(ServiceKind kind)
    {
        var victim = One(kind);
        await victim.KillAsync();
        Kills++;
        Count($"{kind} killed");
        // Only Delivery speaks to far ends: another's death leaves nothing in doubt there.
        if (kind == ServiceKind.Delivery)
            Doubt(victim.Name, Now());
        victim.Launch();
        await RecoverAsync();
    }

    /// <summary>SIGSTOP to one process of a kind, SIGCONT after a while.</summary>
    public async Task FreezeAsync(ServiceKind kind, TimeSpan time)
    {
        var victim = One(kind);
        Count($"{kind} frozen");
        if (kind == ServiceKind.Queue)
            FrozenSilos++;
        if (kind == ServiceKind.Delivery)
            FrozenDeliveries++;
        var from = Now();
        victim.Freeze();
        await ClusterRun.LetPassAsync(time);
        victim.Thaw();
        if (kind == ServiceKind.Delivery)
            Doubt(victim.Name, from, s_moment);
        await RecoverAsync();
    }

    /// <summary>The postmaster is killed, and starts again after up to 3 s.</summary>
    public async Task RestartStoreAsync()
    {
        var from = Now();
        Count("PostgreSQL killed");
        await run.Servers.Postgres.KillAsync();
        await ClusterRun.LetPassAsync(Seconds(0, 3));
        await run.Servers.Postgres.RestartAsync(ClusterRun.Cancellation);
        // What was recorded as it came back is durable; no dot is sent on a claim whose lease ran out.
        Doubt("postgres", from, lease);
        await RecoverAsync();
        StoodStill(from);
    }

    /// <summary>All sessions of the store end at once; what was being committed has an unknown outcome.</summary>
    public async Task EndStoreSessionsAsync()
    {
        var from = Now();
        Count("PostgreSQL sessions ended");
        await run.Servers.Postgres.TerminateSessionsAsync(ClusterRun.Cancellation);
        Doubt("sessions", from, lease);
        await RecoverAsync();
    }

    public async Task RestartBrokerAsync()
    {
        var from = Now();
        Count("RabbitMQ killed");
        await run.Servers.Rabbit.KillAsync();
        await run.Servers.Rabbit.RestartAsync(ClusterRun.Cancellation);
        await RecoverAsync();
        StoodStill(from);
    }

    /// <summary>What was not acknowledged is delivered again, mostly to somebody else.</summary>
    public async Task CloseBrokerConnectionsAsync()
    {
        Count("RabbitMQ connections closed");
        await run.Servers.Rabbit.CloseConnectionsAsync(ClusterRun.Cancellation);
        await RecoverAsync();
    }

    /// <summary>A memory alarm of the broker.</summary>
    public async Task BlockPublishersAsync(TimeSpan time)
    {
        var from = Now();
        Count("RabbitMQ alarms");
        await run.Servers.Rabbit.SetMemoryAlarmAsync(on: true, ClusterRun.Cancellation);
        await ClusterRun.LetPassAsync(time);
        await run.Servers.Rabbit.SetMemoryAlarmAsync(on: false, ClusterRun.Cancellation);
        await RecoverAsync();
        StoodStill(from);
    }

    /// <summary>So long without Redis, while something else fails: a silo that starts must find its members.</summary>
    public async Task WithoutMembershipAsync(TimeSpan time, Func<Task> meanwhile)
    {
        Count("Redis stopped");
        await run.Servers.Redis.StopAsync();
        var stopped = Stopwatch.GetTimestamp();
        await meanwhile();
        var left = time - Stopwatch.GetElapsedTime(stopped);
        if (left > TimeSpan.Zero)
            await ClusterRun.LetPassAsync(left);
        await run.Servers.Redis.RestartAsync(ClusterRun.Cancellation);
        await RecoverAsync();
    }

    /// <summary>Until every process is ready again; what ended is started as Kubernetes would.</summary>
    private async Task RecoverAsync()
    {
        try
        {
            await Eventually.TrueAsync(AreAllReadyAsync, s_recovery, cancellation: ClusterRun.Cancellation);
        }
        catch (TimeoutException e)
        {
            throw new InvalidOperationException($"{e.Message} After {this}\n{run.Cluster.Describe()}", e);
        }
    }

    private async Task<bool> AreAllReadyAsync()
    {
        var ready = true;
        foreach (var service in run.Cluster.Services)
        {
            if (!service.IsRunning)
            {
                EndedByThemselves++;
                Count($"{service.Kind} ended by itself");
                service.Launch();
            }
            ready = ready && await service.Web.IsReadyAsync(ClusterRun.Cancellation);
        }
        return ready;
    }

    private ServiceProcess One(ServiceKind kind)
    {
        var services = run.Cluster.Of(kind);
        return services[random.Next(services.Count)];
    }

    private ServiceKind AnyKind(ServiceKind? except = null)
    {
        var kinds = Enum.GetValues<ServiceKind>().Where(kind => kind != except).ToList();
        return kinds[random.Next(kinds.Count)];
    }

    private void Count(string what) => _counts[what] = _counts.GetValueOrDefault(what) + 1;

    private void Doubt(string what, DateTimeOffset from, TimeSpan after = default) => _doubts.Add(new(what, from, Now() + after));

    /// <summary>Nothing can be delivered without the store or the bus.</summary>
    private void StoodStill(DateTimeOffset from) => _standstills.Add(new("standstill", from, Now()));

    private static DateTimeOffset Now() => TimeProvider.System.GetUtcNow();
}
