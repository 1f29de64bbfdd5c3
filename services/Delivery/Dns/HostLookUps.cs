namespace MailPipeline.Delivery;

/// <summary>
/// The hosts of a domain with their addresses for one batch, those that failed lately last: so many names, and so long altogether. A
/// look-up that is cut short counts as failed. None is given that is as far away as ourselves, or further (RFC 5321 §5.1): before a host
/// is given, all that are no worse have been asked about, whether they come before it or, because they failed, behind it.
/// </summary>
/// <param name="hosts">By preference.</param>
internal sealed class HostLookUps(
    IReadOnlyList<TargetHost> hosts, MxResolver resolver, HostFailures failures, DeliveryOptions options, TimeProvider time)
{
    private readonly Dictionary<TargetHost, HostAddresses> _found = [];
    private Queue<TargetHost> _left = new(failures.LivingFirst(hosts));
    private TimeSpan _waited;

    /// <summary>Our own; hosts have to be below.</summary>
    private int _limit = int.MaxValue;

    /// <summary>No further name is looked up.</summary>
    public bool IsOver => _found.Count >= options.MaxHosts || _waited >= options.DnsBatchTime;

    /// <summary>Hosts before ourselves, as far as is known.</summary>
    public IReadOnlyList<TargetHost> Usable => [.. hosts.Where(IsUsable)];

    /// <summary>Some host that may be used was not asked about.</summary>
    public bool HasUnasked => hosts.Any(host => IsUsable(host) && !_found.ContainsKey(host));

    /// <summary>Begins again with the first host; what was found stays.</summary>
    public void Restart() => _left = new Queue<TargetHost>(failures.LivingFirst(hosts));

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
            await AskAsync([host]);
            if (!_found.TryGetValue(host, out var found))
                continue;
            if (found.Addresses.Count > 0)
                await AskAsync([.. failures.LivingFirst([.. hosts.Where(other => other.Preference <= host.Preference)])]);
            return (host, IsUsable(host) ? found : new HostAddresses([], ResolutionFailure.Loop));
        }

        return null;
    }

    private bool IsUsable(TargetHost host) => host.Preference < _limit;

    private async Task AskAsync(IReadOnlyList<TargetHost> wanted)
    {
        if (IsOver)
            return;
        // All at once: one whose DNS is dead holds up the others no longer than itself.
        var asked = wanted.Where(host => !_found.ContainsKey(host)).Distinct().Take(options.MaxHosts - _found.Count)
            .Select(host => (Host: host, Found: resolver.AddressesAsync(host))).ToList();
        foreach (var (host, found) in asked)
        {
            _found[host] = await InTimeAsync(host, found);
            if (_found[host].Failure == ResolutionFailure.Loop)
                _limit = Math.Min(_limit, host.Preference);
        }
    }

    private async Task<HostAddresses> InTimeAsync(TargetHost host, Task<HostAddresses> asked)
    {
        if (asked.IsCompleted)
            return await asked;
        var started = time.GetTimestamp();
        try
        {
            var left = options.DnsBatchTime - _waited;
            return await asked.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, time);
        }
        catch (TimeoutException)
        {
            return new HostAddresses([], new ResolutionFailure(
                IsPermanent: false, "4.4.3", $"DNS gave no answer for the address of {host.Name} in time"));
        }
        finally
        {
            _waited += time.GetElapsedTime(started);
        }
    }
}
