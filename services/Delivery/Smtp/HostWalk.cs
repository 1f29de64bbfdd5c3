using System.Net;
using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Routing;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// The addresses of a domain's hosts in order, one after the other until one is ready for MAIL (RFC 5321 §5.1): those that could not be
/// reached lately after the others, those of which that was a few minutes ago after those of all hosts, and of each host its share before any
/// has more. Starts anew after a connection that got something
/// done. One that broke before it did is made again: it may be a single message that it broke on, and that is given up after its
/// second try.
/// </summary>
internal sealed class HostWalk(
    IReadOnlyList<TargetHost> hosts, MxResolver resolver, HostFailures failures, SmtpConnector connector, DeliveryBatch batch,
    BatchContext context)
{
    /// <summary>Two over the message that broke the first, and one over the next.</summary>
    private const int MaxBreaks = 3;

    private readonly HostLookUps _lookUps = new(hosts, resolver, failures, context.Options, context.Time);
    private readonly Queue<(TargetHost Host, IPAddress Address)> _addresses = [];

    /// <summary>Addresses beyond their host's share.</summary>
    private readonly Queue<(TargetHost Host, IPAddress Address)> _others = [];

    /// <summary>Addresses that could not be reached a few minutes ago: of all hosts, and after all others.</summary>
    private readonly Queue<(TargetHost Host, IPAddress Address)> _dead = [];

    private (TargetHost Host, IPAddress Address)? _current;

    /// <summary>Was given, and not used.</summary>
    private (TargetHost Host, IPAddress Address)? _returned;
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
        if (_returned is { } returned)
        {
            _returned = null;
            _tries++;
            _current = returned;
            return returned.Address;
        }

        if (_tries >= context.Options.MaxHosts)
            return null;
        while (_addresses.Count == 0 && await LookUpAsync())
        {
        }

        if (!_addresses.TryDequeue(out var next) && !_others.TryDequeue(out next) && !_dead.TryDequeue(out next))
            return null;
        _tries++;
        _current = next;
        return next.Address;
    }

    /// <summary>Connects to the address that was given last; null when that failed, and the next one may be tried.</summary>
    /// <param name="giveUp">Ends the attempt as one that failed.</param>
    public async Task<SmtpClientConnection?> ConnectAsync(CancellationToken giveUp)
    {
        var (host, address) = _current!.Value;
        var result = await connector.ConnectAsync(host, address, giveUp, context.Stopping);
        if (result.Connection is { } connection)
        {
            HasSpoken = HasAnswered = batch.HasHostAnswered = true;
            failures.Forget(address);
            context.Log.Connected(batch.Domain, result.RemoteHost, connection.Tls);
            return connection;
        }

        _breaks = 0;
        if (result.IsUnreachable)
            failures.Note(address);
        else
            HasAnswered = true;
        batch.IsAskedToSlowDown |= result.IsAskedToSlowDown;
        Note(new ResolutionFailure(IsPermanent: false, result.Status, result.Reply), result.RemoteHost, result.Tls);
        context.Log.HostFailed(batch.Domain, result.RemoteHost, result.Reply);
        return null;
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
        foreach (var (index, address) in failures.LivingFirst(found.Addresses).Index())
            (failures.IsDead(address) ? _dead : index < Share ? _addresses : _others).Enqueue((target, address));
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
