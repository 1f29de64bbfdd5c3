using MailPipeline.Ingress.Checks;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>Bounds behind the door: beyond them MAIL is put off with a clear text, and taken again by itself.</summary>
public sealed class BackpressureTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Too_much_unrouted_or_queued_mail_puts_new_mail_off_until_it_is_gone()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxUnrouted"] = "1", ["Ingress:MaxQueued"] = "1" });
        var heldBack = host.Metric<long>("mailpipeline.ingress.held_back");
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("one");
        var message = await host.NextHintAsync();

        await LookAsync(host);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "451 4.3.2 Too much mail waits to be routed, try again later");

        var queue = host.Services.GetRequiredService<QueueStore>();
        await queue.RouteAsync([new RoutedMessage(message, [new RoutedRecipient("ann@example.com", "", "example.com", RecipientRoute.Local)])]);
        await LookAsync(host);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "452 4.3.1 The queue is full, try again later");

        var due = await queue.ListDueAsync("example.com", TimeProvider.System.GetUtcNow().AddHours(1), 10, Cancellation);
        await host.Services.GetRequiredService<MaildropStore>().StoreAsync(1, new BatchCommand(1, "example.com", [.. due]), _ => "", Cancellation);
        await LookAsync(host);
        await client.MessageAsync("two");
        Assert.Equal(["unrouted", "queued"], heldBack.GetMeasurementSnapshot().Where(m => m.Value > 0).Select(m => m.Tags["bound"]));
    }

    [Fact]
    public async Task New_mail_is_put_off_while_a_commit_does_not_end()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await IngressHost.StartAsync(time: time);
        var pressure = host.Metric<double>("mailpipeline.ingress.pressure");
        await using var slow = await Client.GreetedAsync(host.Mx);
        await using var client = await Client.GreetedAsync(host.Mx);
        await slow.BeginAsync();
        await using var database = new SqliteConnection(host.Storage.ConnectionString);
        await database.OpenAsync(Cancellation);
        await ExecuteAsync(database, "BEGIN IMMEDIATE");
        await slow.SendAsync("one\r\n.\r\n");
        await Eventually.TrueAsync(
            async () =>
            {
                time.Advance(TimeSpan.FromMilliseconds(1));
                await LookAsync(host);
                return pressure.GetMeasurementSnapshot().Any(m => m.Tags["bound"] is "commit_time" && m.Value > 0);
            },
            TimeSpan.FromSeconds(4), cancellation: Cancellation);
        time.Advance(TimeSpan.FromSeconds(11));
        await LookAsync(host);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "451 4.3.2 Storage is slow, try again later");

        await ExecuteAsync(database, "ROLLBACK");
        await slow.ExpectAsync("250 2.0.0 Ok: queued as ");
        // What has just ended counts once more.
        await LookAsync(host);
        await LookAsync(host);
        await client.MessageAsync("two");
        // The second hint waits a moment for others.
        time.Advance(TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task A_disk_that_is_nearly_full_is_said_at_MAIL()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Storage:ReservedFreeBytes"] = "1000000000000000000" });
        var pressure = host.Metric<double>("mailpipeline.ingress.pressure");
        await using var client = await Client.GreetedAsync(host.Mx);
        await LookAsync(host);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "452 4.3.1 Insufficient storage, try again later");
        Assert.Contains(pressure.GetMeasurementSnapshot(), m => m.Tags["bound"] is "space" && m.Value >= 1);
    }

    [Fact]
    public async Task A_transaction_that_has_begun_goes_on()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxUnrouted"] = "1" });
        await using var first = await Client.GreetedAsync(host.Mx);
        await using var second = await Client.GreetedAsync(host.Mx);
        await second.BeginAsync();
        await first.MessageAsync("one");
        await LookAsync(host);
        await second.SayAsync("two\r\n.", "250 2.0.0 Ok: queued as ");
    }

    private static async Task ExecuteAsync(SqliteConnection connection, string sql)
    {
        await using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Written by the test.
        command.CommandText = sql;
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    private static Task LookAsync(IngressHost host) => host.Services.GetRequiredService<Backpressure>().LookAsync(Cancellation);
}
