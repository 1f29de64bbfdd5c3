using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.LineServer.Tests;

/// <summary>What happens to connections whatever is spoken on them: silence, slowness, crowds, a stop, bugs.</summary>
public sealed class LineConnectionTests : IDisposable
{
    private static readonly TimeSpan s_second = TimeSpan.FromSeconds(1);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private readonly string _certificates = Directory.CreateTempSubdirectory("line-server-tests-").FullName;
    private readonly FakeTimeProvider _time = new();
    private readonly LineAcceptor _acceptor;
    private readonly EchoListener _listener;

    public LineConnectionTests()
    {
        _acceptor = Wire.Acceptor(_time, _certificates);
        _listener = Listener();
    }

    public void Dispose() => Directory.Delete(_certificates, recursive: true);

    [Fact]
    public async Task Lines_are_answered_one_by_one_and_one_too_long_once()
    {
        var wire = Wire.Connect(_acceptor, _listener, "::ffff:192.0.2.1");
        Assert.Equal("hello 192.0.2.1", await wire.LineAsync());
        await wire.SendAsync($"one\r\ntwo\n{new string('x', 500)}");
        Assert.Equal("Line one", await wire.LineAsync());
        Assert.Equal("BareLineFeed two", await wire.LineAsync());
        await wire.SendAsync(new string('x', 500));
        Assert.Equal("TooLong xxxxxxxx", await wire.AskAsync(""));
        Assert.Equal("Line quit", await wire.AskAsync("quit"));
        Assert.Equal("(end)", await wire.LineAsync());
        await wire.Served;
        Assert.Equal([SessionEnd.Quit], _listener.Ends);
    }

    [Fact]
    public async Task A_client_that_has_said_everything_is_answered()
    {
        var wire = Wire.Connect(_acceptor, _listener);
        await wire.SendAsync("one\r\nunfinished");
        wire.HalfClose();
        Assert.StartsWith("hello", await wire.LineAsync(), StringComparison.Ordinal);
        Assert.Equal("Line one", await wire.LineAsync());
        Assert.Equal("Disconnected", await wire.LineAsync());
        await wire.Served;
        Assert.Equal([SessionEnd.Disconnected], _listener.Ends);
    }

    [Fact]
    public async Task What_stands_behind_the_content_of_a_client_that_has_said_everything_is_answered()
    {
        var wire = Wire.Connect(_acceptor, _listener);
        await wire.SendAsync("octets\r\nfirst.octets\r\nsecond.one\r\nquit\r\n");
        wire.HalfClose();
        Assert.StartsWith("hello", await wire.LineAsync(), StringComparison.Ordinal);
        foreach (var said in (string[])["Line octets", "Octets first", "Line octets", "Octets second", "Line one", "Line quit", "(end)"])
            Assert.Equal(said, await wire.LineAsync());
        await wire.Served;
        Assert.Equal([SessionEnd.Quit], _listener.Ends);
    }

    [Fact]
    public async Task Octets_that_trickle_in_prolong_nothing()
    {
        var wire = Wire.Connect(_acceptor, _listener);
        await wire.LineAsync();
        Assert.Equal("Line one", await wire.AskAsync("one"));
        for (var second = 1; second < EchoListener.Patience.TotalSeconds; second++)
        {
            await wire.SendAsync("x");
            _time.Advance(s_second);
        }
        Assert.False(wire.Served.IsCompleted);
        Assert.Equal("TimedOut", await Testing.Eventually.EndsAsync(wire.LineAsync(), Second, Cancellation));
        await wire.Served;
        Assert.Equal([SessionEnd.TimedOut], _listener.Ends);
    }

    [Fact]
    public async Task While_few_places_are_left_a_wait_is_shorter()
    {
        var crowded = Listener(places: 1);
        var wire = Wire.Connect(_acceptor, crowded);
        await wire.LineAsync();
        _time.Advance(EchoListener.CrowdedPatience - s_second);
        Assert.False(wire.Served.IsCompleted);
        Assert.Equal("TimedOut", await Testing.Eventually.EndsAsync(wire.LineAsync(), Second, Cancellation));
    }

    [Fact]
    public async Task Who_does_not_read_is_broken_off_and_costs_no_memory()
    {
        var wire = Wire.Connect(_acceptor, _listener);
        var line = new string('x', EchoListener.MaxLineBytes - 2) + "\r\n";
        // More than the client's side of the connection holds: the server waits with what it has not yet said.
        for (var lines = 0; lines < 1000; lines++)
            await wire.SendAsync(line);
        await Testing.Eventually.EndsAsync(wire.Served, Second, Cancellation);
        await Testing.Eventually.TrueAsync(() => wire.IsAborted, TimeSpan.FromSeconds(20));
        Assert.Equal([SessionEnd.Disconnected], _listener.Ends);
    }

    [Fact]
    public async Task Who_pipelines_without_end_and_does_not_read_is_broken_off_and_costs_no_memory()
    {
        var wire = Wire.Connect(_acceptor, _listener);
        // The input never runs dry: the server has no need to wait for the client.
        await wire.SendAsync(string.Concat(Enumerable.Repeat("pipelined\r\n", 400_000)));
        await Testing.Eventually.EndsAsync(wire.Served, Second, Cancellation);
        await Testing.Eventually.TrueAsync(() => wire.IsAborted, TimeSpan.FromSeconds(20));
        Assert.InRange(_listener.MostUnflushedBytes, 1, 2 * LineConnection.FlushThreshold);
    }

    [Fact]
    public async Task A_wait_in_which_nothing_is_read_has_its_end_too()
    {
        var wire = Wire.Connect(_acceptor, _listener);
        await wire.SendAsync("wait\r\n");
        await _listener.Holds.Task;
        _time.Advance(EchoListener.Patience - s_second);
        Assert.False(wire.IsAborted);
        _time.Advance(s_second);
        await Testing.Eventually.TrueAsync(() => wire.IsAborted, TimeSpan.FromSeconds(20));
        _listener.Held.SetResult();
        await wire.Served;
        Assert.Equal([SessionEnd.Disconnected], _listener.Ends);
    }

    [Fact]
    public async Task A_stop_ends_an_idle_session_and_lets_a_command_finish()
    {
        var idle = Wire.Connect(_acceptor, _listener);
        await idle.LineAsync();
        var busy = Wire.Connect(_acceptor, _listener);
        await busy.LineAsync();
        await busy.SendAsync("wait\r\n");
        await _listener.Holds.Task;
        idle.Stop();
        busy.Stop();
        Assert.Equal("Stopped", await idle.LineAsync());
        await idle.Served;
        Assert.False(busy.Served.IsCompleted);
        _listener.Held.SetResult();
        Assert.Equal("Line wait", await busy.LineAsync());
        Assert.Equal("Stopped", await busy.LineAsync());
        await busy.Served;
    }

    [Fact]
    public async Task A_stop_begins_no_command_that_waits_behind_the_one_under_way()
    {
        var wire = Wire.Connect(_acceptor, _listener);
        await wire.SendAsync("wait\r\none\r\ntwo\r\n");
        await _listener.Holds.Task;
        wire.Stop();
        _listener.Held.SetResult();
        foreach (var said in (string[])["hello 192.0.2.1", "Line wait", "Stopped", "(end)"])
            Assert.Equal(said, await wire.LineAsync());
        await wire.Served;
        Assert.Equal([SessionEnd.Stopped], _listener.Ends);
    }

    [Fact]
    public async Task A_bug_ends_its_own_session_only()
    {
        var other = Wire.Connect(_acceptor, _listener);
        await other.LineAsync();
        var wire = Wire.Connect(_acceptor, _listener);
        await wire.LineAsync();
        await wire.SendAsync("bug\r\n");
        await wire.Served;
        Assert.Equal([SessionEnd.Bug], _listener.Ends);
        Assert.Equal("Line one", await other.AskAsync("one"));
    }

    [Fact]
    public async Task A_session_that_cannot_begin_is_broken_off_and_counts_as_one_with_a_bug()
    {
        var broken = new EchoListener(Places(1), hasImplicitTls: false, _time) { IsBroken = true };
        // The second finds the place of the first free again.
        for (var times = 1; times <= 2; times++)
        {
            var wire = Wire.Connect(_acceptor, broken);
            await wire.Served;
            await Testing.Eventually.TrueAsync(() => wire.IsAborted, TimeSpan.FromSeconds(20));
            Assert.Equal(times, broken.Ends.Count);
        }

        Assert.All(broken.Ends, end => Assert.Equal(SessionEnd.Bug, end));
        Assert.Empty(broken.Limits);
    }

    /// <summary>One wait whose time is over ends while the timer looks at it, and another begins whose time is not.</summary>
    [Fact]
    public async Task The_timer_ends_no_wait_but_the_one_whose_deadline_it_saw()
    {
        var now = _time.GetTimestamp();
        var certificate = Wire.Certificate(_time, _certificates);
        LineConnection? under = null;
        using var end = new CancellationTokenSource();
        var timer = Task.Run(
            () =>
            {
                while (!end.IsCancellationRequested)
                    Volatile.Read(ref under)?.CheckDeadline(now);
            },
            Cancellation);
        for (var connections = 0; connections < 2_000; connections++)
        {
            var connection = Wire.Bare(_time, _listener, certificate);
            Volatile.Write(ref under, connection);
            for (var waits = 0; waits < 1_000 && !connection.TimedOut; waits++)
            {
                using (connection.AbortAt(new WaitEnd(now, WaitEnd.Never)))
                {
                }

                if (connection.TimedOut)
                    break;
                using (connection.AbortAt(new WaitEnd(WaitEnd.Never, WaitEnd.Never)))
                    Thread.SpinWait(waits % 50);
                Assert.False(connection.TimedOut);
            }
        }

        await end.CancelAsync();
        await timer;
    }

    [Theory]
    [InlineData(false, "too many")]
    [InlineData(true, "(end)")]
    public async Task Who_is_one_too_many_hears_so_unless_TLS_comes_first(bool hasImplicitTls, string said)
    {
        var full = Listener(places: 0, hasImplicitTls);
        var wire = Wire.Connect(_acceptor, full);
        Assert.Equal(said, await wire.LineAsync());
        await wire.Served;
        Assert.Equal(["total"], full.Limits);
        Assert.Empty(full.Ends);
    }

    [Fact]
    public async Task A_load_balancer_names_its_client_or_is_not_served()
    {
        var behind = new EchoListener(Places(10), hasImplicitTls: false, _time, "192.0.2.0/24");
        var named = Wire.Connect(_acceptor, behind);
        await named.SendAsync("PROXY TCP4 198.51.100.7 198.51.100.1 40000 25\r\n");
        Assert.Equal("hello 198.51.100.7", await named.LineAsync());

        var silent = Wire.Connect(_acceptor, behind);
        await Testing.Eventually.EndsAsync(silent.Served, Second, Cancellation);
        await Testing.Eventually.TrueAsync(() => silent.IsAborted, TimeSpan.FromSeconds(20));
        Assert.Equal("hello 203.0.113.1", await Wire.Connect(_acceptor, behind, "203.0.113.1").LineAsync());
    }

    [Fact]
    public async Task A_handshake_that_does_not_come_ends_the_connection()
    {
        var secure = Listener(hasImplicitTls: true);
        var wire = Wire.Connect(_acceptor, secure);
        await Testing.Eventually.EndsAsync(wire.Served, Second, Cancellation);
        Assert.Equal([SessionEnd.TlsFailed], secure.Ends);
    }

    private EchoListener Listener(int places = 100, bool hasImplicitTls = false) => new(Places(places), hasImplicitTls, _time);

    private SessionPlaces Places(int places) => new(new SessionLimits(places, 100, 100, PrefixIPv6: 64, KeepsPlaces: false), _time);

    private void Second() => _time.Advance(s_second);
}
