using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.ServiceDefaults.Tests;

public sealed class LineLogTests
{
    private static readonly FakeTimeProvider s_time = new(new DateTimeOffset(2030, 1, 2, 3, 4, 5, 6, TimeSpan.Zero));

    [Fact]
    public void An_event_is_a_line_with_time_level_service_and_number()
    {
        Assert.Equal(
            "2030-01-02T03:04:05.006Z info Ingress[1001]: queued\n",
            Write(log => log.CreateLogger("MailPipeline.Ingress.SmtpConnection").Log(LogLevel.Information, new EventId(1001), "queued", null, (text, _) => text)));
    }

    [Fact]
    public void No_client_can_forge_a_line()
    {
        Assert.Equal(
            "2030-01-02T03:04:05.006Z warn Some.Library: a\\x0D\\x0A2030 info b\\x1B[2J\n",
            Write(log => log.CreateLogger("Some.Library").Log(LogLevel.Warning, default, "a\r\n2030 info b\u001b[2J", null, (text, _) => text)));
    }

    [Fact]
    public void An_exception_follows_indented()
    {
        var text = Write(log => log.CreateLogger("Some.Library").Log(
            LogLevel.Error, default, "failed", new InvalidOperationException("why\nso\u001b[2J"), (state, _) => state));

        Assert.DoesNotContain('\u001b', text);
        Assert.All(text.TrimEnd().Split('\n').Skip(1), line => Assert.StartsWith("    ", line, StringComparison.Ordinal));
    }

    [Fact]
    public void A_stuck_reader_of_the_output_costs_lines_and_nobody_s_time()
    {
        using var stuck = new StuckWriter();
        using (var log = new LineLog(s_time, stuck))
        {
            var logger = log.CreateLogger("MailPipeline.Test");
            for (var i = 0; i < 20_000; i++)
                logger.Log(LogLevel.Information, default, i, null, (number, _) => $"{number}");
            stuck.Release();
        }

        Assert.Contains("lines were dropped", stuck.ToString(), StringComparison.Ordinal);
        Assert.Contains("Test: 0\n", stuck.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_output_that_fails_costs_lines_and_nothing_else()
    {
        using var output = new FailingWriter();
        using (var log = new LineLog(s_time, output))
        {
            var logger = log.CreateLogger("MailPipeline.Test");
            logger.LogInformation("lost");
            await output.Failed.Task;
            logger.LogInformation("kept");
        }

        Assert.DoesNotContain("lost", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("Test: kept\n", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("1 lines were dropped", output.ToString(), StringComparison.Ordinal);
    }

    private static string Write(Action<LineLog> act)
    {
        using var output = new StringWriter();
        using (var log = new LineLog(s_time, output))
            act(log);
        return output.ToString();
    }

    /// <summary>A file that may not be written to, once.</summary>
    private sealed class FailingWriter : StringWriter
    {
        public TaskCompletionSource Failed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override void Write(string? value)
        {
            if (Failed.TrySetResult())
                throw new UnauthorizedAccessException();
            base.Write(value);
        }
    }

    private sealed class StuckWriter : StringWriter
    {
        private readonly ManualResetEventSlim _released = new();

        public void Release() => _released.Set();

        public override void Write(string? value)
        {
            _released.Wait(TestContext.Current.CancellationToken);
            base.Write(value);
        }

        protected override void Dispose(bool disposing)
        {
            _released.Dispose();
            base.Dispose(disposing);
        }
    }
}
