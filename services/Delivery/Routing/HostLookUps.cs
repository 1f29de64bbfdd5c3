namespace MailPipeline.Delivery.Routing;

/// <summary>
/// The hosts of a domain with their addresses for one batch, those that failed lately last: so many names, and so long altogether. A
/// look-up that is cut short counts as failed. None is given that is as far away as ourselves, or further (RFC 5321 §5.1): before a host
/// is given, all that are no worse have been asked about, whether they come before it or, because they failed, behind it. One that DNS
/// said nothing about last time does not keep the others waiting until it says nothing again.
/// </summary>
/// <param name="hosts">By preference.</param>
internal sealed class HostLookUps(
    IReadOnlyList<TargetHost> hosts, MxResolver resolver, HostFailures failures, DeliveryOptions options, TimeProvider time)
{
    /// <summary>So long others wait for what DNS said nothing about last time. A resolver that has to ask around seldom takes longer.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly Dictionary<TargetHost, Task<HostAddresses>> _asked = [];
    private readonly Dictionary<TargetHost, HostAddresses> _found = [];

    /// <summary>Asked about, and left open so that others had their turn.</summary>
    private readonly HashSet<TargetHost> _passedOver = [];

    private Queue<TargetHost> _left = new(failures.LivingFirst(hosts));
    private TimeSpan _waited;

    /// <summary>Our own; hosts have to be below.</summary>
    private int _limit = int.MaxValue;

    /// <summary>No further name is looked up.</summary>
    public bool IsOver => _asked.Count >= options.MaxHosts || _waited >= options.DnsBatchTime;

    /// <summary>Hosts before ourselves, as far as is known.</summary>
    public IReadOnlyList<TargetHost> Usable => [.. hosts.Where(IsUsable)];

    /// <summary>Of some host that may be used nothing is known.</summary>
    public bool HasUnknown => hosts.Any(host => IsUsable(host) && !_found.ContainsKey(host));

    /// <summary>Begins again with the first host; what was found stays.</summary>
    public void Restart()
    {
        _left = new Queue<TargetHost>(failures.LivingFirst(hosts));
        _passedOver.Clear();
    }

    /// <summary>
    /// The next host and what is known of its addresses; null when none is left. <see cref="ResolutionFailure.Loop"/>, once, where the
    /// host is ourselves or no better; better ones may follow.
    /// </summary>
    public async Task<(TargetHost Host, HostAddresses Found)?> NextAsync()
    {
        while (_left.TryDequeue(out var host))
        {
            if (!IsUsable(host))
                continue;
            var yields = failures.Has(host) && !_left.All(_passedOver.Contains);
            Ask(host);
            // They are asked about anyway before this one is used, and may have an answer where it has none.
            foreach (var equal in _left.Where(other => other.Preference == host.Preference))
                Ask(equal);
            // When it takes long, the others as well, by preference: one after the other a few would use up the batch's time.
            if (!yields && _asked.TryGetValue(host, out var asked) && Patience < options.DnsBatchTime - _waited && await InTimeAsync(asked, Patience) is null)
            {
                foreach (var other in _left.OrderBy(other => other.Preference))
                    Ask(other);
            }

            await FindAsync(host, yields ? Patience : null);
            if (!_found.TryGetValue(host, out var found))
            {
                if (_passedOver.Contains(host))
                    _left.Enqueue(host);
                continue;
            }

            if (found.Addresses.Count > 0)
                await FindAllAsync([.. failures.LivingFirst(hosts.Where(other => other.Preference <= host.Preference))]);
            return (host, IsUsable(host) ? found : new HostAddresses([], ResolutionFailure.Loop));
        }

        return null;
    }

    private bool IsUsable(TargetHost host) => host.Preference < _limit;

    private void Ask(TargetHost host)
    {
        if (!_asked.ContainsKey(host) && !IsOver)
            _asked.Add(host, resolver.AddressesAsync(host));
    }

    /// <summary>All at once: those whose DNS is dead hold up the others no longer than one of them would, and that only the first time.</summary>
    private async Task FindAllAsync(IReadOnlyList<TargetHost> wanted)
    {
        var yielding = wanted.Where(failures.Has).ToHashSet();
        foreach (var host in wanted)
            Ask(host);
        var patienceEnds = _waited + Patience;
        foreach (var host in wanted.OrderBy(yielding.Contains))
            await FindAsync(host, yielding.Contains(host) ? patienceEnds - _waited : null);
    }

    /// <param name="patience">It is passed over when it takes longer, for which it is waited once; null: as long as the batch may wait.</param>
    private async Task FindAsync(TargetHost host, TimeSpan? patience)
    {
        if (_found.ContainsKey(host) || !_asked.TryGetValue(host, out var asked))
            return;
        if (patience is not null && (patience < TimeSpan.Zero || _passedOver.Contains(host)))
            patience = TimeSpan.Zero;
        var left = options.DnsBatchTime - _waited;
        var found = await InTimeAsync(asked, patience < left ? patience.Value : left);
        if (found is null && patience < left)
        {
            _passedOver.Add(host);
            return;
        }

        _found[host] = found ?? HostAddresses.None(isPermanent: false, "4.4.3", $"DNS gave no answer for the address of {host.Name} in time");
        if (_found[host].Failure == ResolutionFailure.Loop)
            _limit = Math.Min(_limit, host.Preference);
    }

    /// <summary>Null: not in the time.</summary>
    private async Task<HostAddresses?> InTimeAsync(Task<HostAddresses> asked, TimeSpan limit)
    {
        if (asked.IsCompleted)
            return await asked;
        var started = time.GetTimestamp();
        try
        {
            return await asked.WaitAsync(limit > TimeSpan.Zero ? limit : TimeSpan.Zero, time);
        }
        catch (TimeoutException)
        {
            return null;
        }
        finally
        {
            _waited += time.GetElapsedTime(started);
        }
    }
}
