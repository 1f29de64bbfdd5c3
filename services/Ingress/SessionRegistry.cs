using System.Collections.Concurrent;
using System.Net;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>
/// The sessions under way: counts them, by listener and by client network, and looks once a second for those whose client has
/// kept us waiting for too long. One timer for all, so that waiting for a line costs no timer.
/// Each listener has places of its own, so that who fills the one for other servers does not shut out our users. A session that logs in
/// leaves its place to strangers: who knows a password is not kept out by those who do not.
/// </summary>
internal sealed class SessionRegistry : IDisposable
{
    private static readonly TimeSpan s_tick = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<SmtpConnection, bool> _sessions = [];
    private readonly Dictionary<(SmtpListener, IPNetwork), int> _byNetwork = [];

    /// <summary>Sessions of each listener that have not logged in.</summary>
    private readonly Dictionary<SmtpListener, int> _strangers = [];

    private readonly Lock _gate = new();
    private readonly IngressOptions _options;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;

    public SessionRegistry(IOptions<IngressOptions> options, TimeProvider time)
    {
        _options = options.Value;
        _time = time;
        _timer = time.CreateTimer(_ => Tick(), null, s_tick, s_tick);
    }

    public int Count => _sessions.Count;

    /// <summary>False when a limit is reached, which is then named.</summary>
    public bool TryEnter(SmtpConnection session, IPAddress? address, out string limit)
    {
        lock (_gate)
        {
            limit = "total";
            var strangers = _strangers.GetValueOrDefault(session.Listener);
            if (strangers >= _options.MaxSessions)
                return false;
            if (address is not null)
            {
                limit = "address";
                var key = KeyOf(session, address);
                var ofNetwork = _byNetwork.GetValueOrDefault(key);
                if (ofNetwork >= _options.MaxSessionsPerAddress)
                    return false;
                _byNetwork[key] = ofNetwork + 1;
            }

            _strangers[session.Listener] = strangers + 1;
            _sessions[session] = true;
        }

        return true;
    }

    /// <summary>The session has logged in, and takes none of the places of strangers any more.</summary>
    public void LoggedIn(SmtpConnection session)
    {
        lock (_gate)
        {
            if (!_sessions.TryUpdate(session, false, true))
                return;
            _strangers[session.Listener]--;
        }
    }

    /// <summary>Nine tenths of the places for strangers are taken: who has one is waited for less long.</summary>
    public bool IsNearlyFull(SmtpListener listener)
    {
        lock (_gate)
            return _strangers.GetValueOrDefault(listener) * 10L >= _options.MaxSessions * 9L;
    }

    public void Leave(SmtpConnection session, IPAddress? address)
    {
        lock (_gate)
        {
            if (_sessions.TryRemove(session, out var isStranger) && isStranger)
                _strangers[session.Listener]--;
            if (address is null)
                return;
            var key = KeyOf(session, address);
            var ofNetwork = _byNetwork[key] - 1;
            if (ofNetwork == 0)
                _byNetwork.Remove(key);
            else
                _byNetwork[key] = ofNetwork;
        }
    }

    public void Dispose() => _timer.Dispose();

    private (SmtpListener, IPNetwork) KeyOf(SmtpConnection session, IPAddress address) =>
        (session.Listener, ClientNetworks.NetworkOf(address, _options.PrefixIPv6));

    private void Tick()
    {
        var now = _time.GetTimestamp();
        foreach (var (session, _) in _sessions)
            session.CheckDeadline(now);
    }
}
