using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>
/// The sessions under way: counts them, in all and by client address, and looks once a second for those whose client has
/// kept us waiting for too long. One timer for all, so that waiting for a line costs no timer.
/// </summary>
internal sealed class SessionRegistry : IDisposable
{
    private static readonly TimeSpan s_tick = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<SmtpConnection, bool> _sessions = [];
    private readonly Dictionary<IPAddress, int> _byAddress = [];
    private readonly Lock _gate = new();
    private readonly IngressOptions _options;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private int _count;

    public SessionRegistry(IOptions<IngressOptions> options, TimeProvider time)
    {
        _options = options.Value;
        _time = time;
        _timer = time.CreateTimer(_ => Tick(), null, s_tick, s_tick);
    }

    public int Count => Volatile.Read(ref _count);

    /// <summary>False when a limit is reached, which is then named.</summary>
    public bool TryEnter(SmtpConnection session, IPAddress? address, out string limit)
    {
        lock (_gate)
        {
            limit = "total";
            if (_count >= _options.MaxSessions)
                return false;
            if (address is not null)
            {
                limit = "address";
                var ofAddress = _byAddress.GetValueOrDefault(address);
                if (ofAddress >= _options.MaxSessionsPerAddress)
                    return false;
                _byAddress[address] = ofAddress + 1;
            }

            _count++;
        }

        _sessions[session] = true;
        return true;
    }

    public void Leave(SmtpConnection session, IPAddress? address)
    {
        _sessions.TryRemove(session, out _);
        lock (_gate)
        {
            _count--;
            if (address is null)
                return;
            var ofAddress = _byAddress[address] - 1;
            if (ofAddress == 0)
                _byAddress.Remove(address);
            else
                _byAddress[address] = ofAddress;
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        var now = _time.GetTimestamp();
        foreach (var (session, _) in _sessions)
            session.CheckDeadline(now);
    }
}
