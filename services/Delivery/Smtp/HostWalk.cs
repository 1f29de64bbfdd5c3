using System.Net;
using System.Net.Sockets;
using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Sources;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// The addresses of a domain's hosts in order, one after the other until one is ready for MAIL (RFC 5321 §5.1): those that could not be
/// reached lately after the others, those of which that was a few minutes ago after those of all hosts, and of each host its share before any
/// has more. Several addresses of one host, one after the other, are raced for (<see cref="AddressRace"/>). Starts anew after a connection that got something
/// done. One that broke before it did is made again: it may be a single message that it broke on, and that is given up after its
/// second try.
/// </summary>
internal sealed class HostWalk(
    IReadOnlyList<TargetHost> hosts, MxResolver resolver, HostFailures failures, SmtpConnector connector, DeliveryBatch batch,
    BatchContext context, SourceOutlet? outlet = null)
{
    /// <summary>Two over the message that broke the first, and one over the next.</summary>
    private const int MaxBreaks = 3;

    private readonly HostLookUps _lookUps = new(hosts, resolver, failures, context.Options, context.Time);
    private readonly List<(TargetHost Host, IPAddress Address)> _addresses = [];

    /// <summary>Addresses beyond their host's share.</summary>
    private readonly List<(TargetHost Host, IPAddress Address)> _others = [];

    /// <summary>Addresses that could not be reached a few minutes ago: of all hosts, and after all others.</summary>
    private readonly List<(TargetHost Host, IPAddress Address)> _dead = [];

    /// <summary>Where the address came from that was given last, and others of its host may follow.</summary>
    private List<(TargetHost Host, IPAddress Address)>? _from;

    private (TargetHost Host, IPAddress Address)? _current;

    /// <summary>Was given, and not used.</summary>
    private (TargetHost Host, IPAddress Address)? _returned;
    private string? _outOfReach;
    private int _breaks;
    private int _tries;

    /// <summary>A host was ready for MAIL at some time.</summary>
    public bool HasSpoken { get; private set; }

    /// <summary>A host has answered, be it that it takes nothing now.</summary>
    public bool HasAnswered { get; private set; }

    /// <summary>Some message of the batch was answered for.</summary>
    public bool HasProgressed { get; private set; }

    public bool HasTried => _tries > 0;

    /// <summary>The next address is known: nothing is looked up before it is tried.</summary>
    public bool HasNext => IsRepeated || _returned is not null || _addresses.Count > 0;

    /// <summary>Addresses are left, or hosts of which nothing is known: a bound ended the walk.</summary>
    public bool IsCutShort => _returned is not null || _addresses.Count + _others.Count + _dead.Count > 0 || _lookUps.HasUnknown;

    /// <summary>The address that was given last has nothing more to say to this batch.</summary>
    public void PassOn()
    {
        _breaks = 0;
        _current = null;
    }

    /// <summary>The address that was given last was not used, and comes next.</summary>
    public void Return()
    {
        _returned = _current;
        _current = null;
        _breaks = 0;
        _tries--;
    }

    /// <summary>The connection had as many messages as one may have: the next one leads to the same address, where that is known.</summary>
    public void Stay()
    {
        if (_current is not null)
            Return();
    }

    /// <summary>Why nothing is left to try. A temporary reason stands before a permanent one.</summary>
    public ResolutionFailure Failure { get; private set; } = new(IsPermanent: true, "5.4.4", "The domain has no host");

    public string FailedHost { get; private set; } = "";

    /// <summary>What TLS there was, or was to be, at that host; null where it was not spoken to.</summary>
    public AttemptTls? FailedTls { get; private set; }

    /// <summary>Nothing was tried, and why: no address of a host is of a kind (IPv4 or IPv6) that the pool of source addresses has.</summary>
    public string? OutOfReach => HasTried ? null : _outOfReach;

    private bool IsRepeated => _breaks is > 0 and < MaxBreaks && _current is not null;

    /// <summary>Most addresses of one host before the next has had its turn.</summary>
    private int Share => Math.Max(1, (context.Options.MaxHosts + hosts.Count - 1) / hosts.Count);

    /// <summary>The connection ended in mid-batch; after <see cref="MaxBreaks"/> with nothing done its address counts as tried.</summary>
    public void Broke(SmtpConnectionException error, string remoteHost, AttemptTls tls, bool hasProgressed)
    {
        Note(new ResolutionFailure(IsPermanent: false, error.Status, error.Reply), remoteHost, tls);
        context.Log.ConnectionEnded(batch.Domain, remoteHost, error.Reply);
        if (!hasProgressed)
        {
            _breaks++;
            return;
        }

        HasProgressed = true;
        Restart();
    }

    /// <summary>From the first host on, as if none had been tried.</summary>
    public void Restart()
    {
        _breaks = 0;
        _lookUps.Restart();
        _addresses.Clear();
        _others.Clear();
        _dead.Clear();
        _returned = null;
        _tries = 0;
    }

    /// <summary>
    /// The next address to be tried; null when none is left, or the batch's time is over. May ask DNS, unless <see cref="HasNext"/>.
    /// </summary>
    public async Task<IPAddress?> NextAsync()
    {
        if (!batch.MayGoOn)
            return null;
        if (IsRepeated)
            return _current!.Value.Address;
        _breaks = 0;
        _from = null;
        if (_returned is { } returned)
        {
            _returned = null;
            _tries++;
            _current = returned;
            return returned.Address;
        }

        if (_tries >= context.Options.MaxHosts)
            return null;
        (TargetHost Host, IPAddress Address) next;
        while (true)
        {
            while (_addresses.Count == 0 && await LookUpAsync())
            {
            }

            _from = _addresses.Count > 0 ? _addresses : _others.Count > 0 ? _others : _dead;
            if (_from.Count == 0)
                return null;
            next = _from[0];
            _from.RemoveAt(0);
            // Somebody else has found out meanwhile.
            if (_from == _dead || failures.TryProbe(next.Address) || !failures.IsDead(next.Address))
                break;
            _dead.Add(next);
        }

        _tries++;
        _current = next;
        return next.Address;
    }

    /// <summary>
    /// Connects to the address that was given last, or to one of those of its host that come next; null when that failed, and the next one may be tried.
    /// </summary>
    /// <param name="giveUp">Ends the attempt as one that failed.</param>
    public async Task<SmtpClientConnection?> ConnectAsync(CancellationToken giveUp)
    {
        var (host, first) = _current!.Value;
        var plan = new DialPlan(host, outlet, batch.EndsConnection, giveUp);
        var addresses = Racing(host, first);
        var result = await connector.ConnectAsync(plan, addresses, context.Stopping);
        if (addresses.Count > 1)
            TakeOut(host, first, addresses, result);
        foreach (var (address, error) in result.Failed.Where(failure => !failure.Error.IsOurs))
            Failed(plan.RemoteOf(address), address, error.Status, error.Reply, isUnreachable: !giveUp.IsCancellationRequested, tls: null);
        if (result.Connection is { } connection)
        {
            HasSpoken = HasAnswered = batch.HasHostAnswered = true;
            failures.Forget(result.Address);
            context.Log.Connected(batch.Domain, result.RemoteHost, connection.Tls);
            return connection;
        }

        _breaks = 0;
        if (result.IsOurs)
        {
            // There was no address to connect from: it comes next.
            if (addresses.Count == 1)
                Return();
            return null;
        }

        batch.IsAskedToSlowDown |= result.IsAskedToSlowDown;
        Failed(result.RemoteHost, result.Address, result.Status, result.Reply, result.IsUnreachable, result.Tls);
        return null;
    }

    private void Failed(string remoteHost, IPAddress address, string status, string reply, bool isUnreachable, AttemptTls? tls)
    {
        if (isUnreachable)
            failures.Note(address);
        else
            HasAnswered = true;
        Note(new ResolutionFailure(IsPermanent: false, status, reply), remoteHost, tls);
        context.Log.HostFailed(batch.Domain, remoteHost, reply);
    }

    /// <summary>The address, and those of its host behind it that may be tried as well: one where nobody is to be raced.</summary>
    private IReadOnlyList<IPAddress> Racing(TargetHost host, IPAddress first)
    {
        var more = context.Options.MaxHosts - _tries;
        if (_from is null || _breaks > 0 || more <= 0 || context.Options.ConnectionAttemptDelay == TimeSpan.Zero || outlet is { MayRace: false })
            return [first];
        return [first, .. _from.TakeWhile(other => ReferenceEquals(other.Host, host)).Take(more).Select(other => other.Address)];
    }

    /// <summary>Of those that were raced for, who has won or failed is not given again; who has only lost is.</summary>
    private void TakeOut(TargetHost host, IPAddress first, IReadOnlyList<IPAddress> addresses, ConnectResult result)
    {
        var from = _from!;
        HashSet<IPAddress> over = [.. result.Failed.Where(failure => !failure.Error.IsOurs).Select(failure => failure.Address)];
        if (!result.IsOurs)
            over.Add(result.Address);
        from.RemoveRange(0, addresses.Count - 1);
        from.InsertRange(0, addresses.Where(address => !over.Contains(address)).Select(address => (host, address)));
        // The first one was counted when it was given.
        _tries += over.Count - 1;
        _current = (host, result.IsOurs ? first : result.Address);
    }

    /// <summary>False: there is no host left to be looked up.</summary>
    private async Task<bool> LookUpAsync()
    {
        if (await _lookUps.NextAsync() is not var (host, found))
            return false;
        if (found.Failure is { } failure)
        {
            if (failure != ResolutionFailure.Loop)
                failures.Note(host);
            Note(failure, "");
        }

        resolver.NoteKept(host, found);
        var target = host with { Tlsa = found.Tlsa };
        var reached = found.Addresses;
        if (outlet is not null && !host.IsSocket && reached.Count > 0)
        {
            reached = [.. reached.Where(address => outlet.Reaches(address.AddressFamily))];
            if (reached.Count == 0)
            {
                _outOfReach = $"Pool {outlet.Pool} has no {(found.Addresses[0].AddressFamily == AddressFamily.InterNetwork ? "IPv4" : "IPv6")} address, and {host.Name} no other";
                Note(new ResolutionFailure(IsPermanent: false, "4.4.1", _outOfReach), "");
            }
        }

        if (context.Options.ConnectionAttemptDelay > TimeSpan.Zero)
            reached = AddressRace.Interleave(reached);
        foreach (var (index, address) in failures.LivingFirst(reached).Index())
            (failures.IsDead(address) ? _dead : index < Share ? _addresses : _others).Add((target, address));
        return true;
    }

    private void Note(ResolutionFailure failure, string remoteHost, AttemptTls? tls = null)
    {
        if (failure.IsPermanent && (!Failure.IsPermanent || Failure == ResolutionFailure.Loop))
            return;
        Failure = failure;
        FailedHost = remoteHost;
        FailedTls = tls;
    }
}
