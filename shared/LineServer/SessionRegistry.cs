using System.Collections.Concurrent;

namespace MailPipeline.LineServer;

/// <summary>
/// The connections under way. Looks once a second for those whose client has kept us waiting for too long: one timer for all connections of
/// all protocols, so that waiting for a client costs no timer. Nobody is waited for less long than he was given; one second more may pass.
/// </summary>
public sealed class SessionRegistry : IDisposable
{
    private static readonly TimeSpan s_tick = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<LineConnection, bool> _connections = [];
    private readonly TimeProvider _time;
    private readonly ITimer _timer;

    public SessionRegistry(TimeProvider time)
    {
        _time = time;
        _timer = time.CreateTimer(_ => Tick(), null, s_tick, s_tick);
    }

    public int Count => _connections.Count;

    internal void Enter(LineConnection connection) => _connections[connection] = true;

    internal void Leave(LineConnection connection) => _connections.TryRemove(connection, out _);

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        var now = _time.GetTimestamp();
        foreach (var (connection, _) in _connections)
            connection.CheckDeadline(now);
    }
}
