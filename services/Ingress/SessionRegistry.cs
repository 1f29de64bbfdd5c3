using System.Collections.Concurrent;

namespace MailPipeline.Ingress;

/// <summary>
/// The sessions under way. Looks once a second for those whose client has kept us waiting for too long: one timer for all, so that waiting
/// for a line costs no timer.
/// </summary>
internal sealed class SessionRegistry : IDisposable
{
    private static readonly TimeSpan s_tick = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<SmtpConnection, bool> _sessions = [];
    private readonly TimeProvider _time;
    private readonly ITimer _timer;

    public SessionRegistry(TimeProvider time)
    {
        _time = time;
        _timer = time.CreateTimer(_ => Tick(), null, s_tick, s_tick);
    }

    public int Count => _sessions.Count;

    public void Enter(SmtpConnection session) => _sessions[session] = true;

    public void Leave(SmtpConnection session) => _sessions.TryRemove(session, out _);

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        var now = _time.GetTimestamp();
        foreach (var (session, _) in _sessions)
            session.CheckDeadline(now);
    }
}
