using System.Net;
using MailPipeline.Mail;

namespace MailPipeline.Console.Tests;

/// <summary>Messages and the queue by HTTP.</summary>
public sealed class MessageApiTests
{
    [Fact]
    public async Task A_message_is_found_traced_held_released_and_removed()
    {
        await using var run = await ConsoleRun.StartAsync();
        using var http = await run.LogInAsync();
        var id = await run.QueueAsync("ann@example.org", "bob@far.example", "eve@far.example");
        var (_, page, _) = await http.AskAsync("GET messages?to=bob@far.example&from=ann@example.org");
        Assert.Equal(id, Assert.Single(page.GetProperty("items").EnumerateArray()).GetProperty("id").GetString());
        Assert.Empty((await http.AskAsync("GET messages?to=carl@far.example")).Body.GetProperty("items").EnumerateArray());

        var (_, message, _) = await http.AskAsync($"GET messages/{id}");
        Assert.Equal(["noWorker", "noWorker"], message.GetProperty("recipients").EnumerateArray().Select(r => r.GetProperty("wait").GetProperty("reason").GetString()).Select(reason => reason == "due" ? "noWorker" : reason));
        var (_, held, _) = await http.AskAsync($"POST messages/{id}/hold");
        Assert.Equal(2, held.GetProperty("recipients").GetInt32());
        (_, message, _) = await http.AskAsync($"GET messages/{id}");
        var wait = message.GetProperty("recipients")[0].GetProperty("wait");
        Assert.Equal("heldByOperator", wait.GetProperty("reason").GetString());
        Assert.StartsWith("token ", wait.GetProperty("by").GetString(), StringComparison.Ordinal);
        Assert.Equal("409 nothingToChange", await http.ProblemAsync($"POST messages/{id}/hold"));
        Assert.Equal(HttpStatusCode.OK, (await http.AskAsync($"POST messages/{id}/release")).Status);
        Assert.Equal(HttpStatusCode.OK, (await http.AskAsync($"DELETE messages/{id}")).Status);
        Assert.Equal("removed", (await http.AskAsync($"GET messages/{id}")).Body.GetProperty("recipients")[0].GetProperty("state").GetString());
    }

    [Theory]
    [InlineData("GET messages/FFFFFF", "404 noSuchMessage")]
    [InlineData("GET messages/nothing", "404 noSuchMessage")]
    [InlineData("GET messages/..%2f..%2fetc", "404 noSuchMessage")]
    [InlineData("GET messages?cursor=zz", "422 badCursor cursor")]
    [InlineData("POST messages/FFFFFF/hold", "404 noSuchMessage")]
    [InlineData("GET queue/groups", "422 notAGrouping by")]
    [InlineData("GET queue/entries?reason=mood", "422 notAReason reason")]
    [InlineData("GET queue/entries?older=soon", "422 notATime older")]
    [InlineData("GET queue/entries?cursor=zz", "422 badCursor cursor")]
    [InlineData("DELETE bans/192.0.2.0/24", "404 noSuchBan")]
    [InlineData("DELETE tokens/none", "404 noSuchToken")]
    [InlineData("GET audit?since=soon", "400 badRequest")]
    [InlineData("GET queue/entries?sender=%00", "422 badText")]
    public async Task What_is_not_there_is_said(string request, string problem)
    {
        await using var run = await ConsoleRun.StartAsync();
        using var http = await run.LogInAsync();
        Assert.Equal(problem, await http.ProblemAsync(request));
    }

    [Fact]
    public async Task The_queue_is_counted_listed_paused_and_flushed()
    {
        await using var run = await ConsoleRun.StartAsync();
        using var http = await run.LogInAsync();
        for (var i = 0; i < 5; i++)
            await run.QueueAsync("ann@example.org", $"u{i}@far.example", $"u{i}@near.example");
        var (_, queue, _) = await http.AskAsync("GET queue");
        Assert.Equal(10, queue.GetProperty("waiting").GetInt64());
        Assert.Equal(System.Text.Json.JsonValueKind.Null, queue.GetProperty("pausedSince").ValueKind);
        var (_, groups, _) = await http.AskAsync("GET queue/groups?by=domain&limit=1");
        Assert.Equal((5, true), (groups.GetProperty("groups")[0].GetProperty("waiting").GetInt64(), groups.GetProperty("hasMore").GetBoolean()));

        var seen = new List<string?>();
        for (var request = "GET queue/entries?domain=far.example&limit=2"; ;)
        {
            var (_, entries, _) = await http.AskAsync(request);
            seen.AddRange(entries.GetProperty("items").EnumerateArray().Select(entry => entry.GetProperty("recipients")[0].GetString()));
            if (entries.GetProperty("next").GetString() is not { } next)
                break;
            request = $"GET queue/entries?domain=far.example&limit=2&cursor={next}";
        }
        Assert.Equal(["u0@far.example", "u1@far.example", "u2@far.example", "u3@far.example", "u4@far.example"], seen.Order());

        Assert.Equal(5, (await http.AskAsync("POST queue/flush", new { domain = "far.example" })).Body.GetProperty("messages").GetInt64());
        Assert.Equal("404 nothingToFlush", await http.ProblemAsync("POST queue/flush", new { domain = "nothing.example" }));
        Assert.Equal("422 notADomain domain", await http.ProblemAsync("POST queue/flush", new { domain = ".." }));
        Assert.True((await http.AskAsync("POST queue/pause")).Body.GetProperty("isPaused").GetBoolean());
        Assert.True((await http.AskAsync("POST queue/pause")).Body.GetProperty("isPaused").GetBoolean());
        Assert.Equal("409 deliveryPaused", await http.ProblemAsync("POST queue/flush", new { domain = "far.example" }));
        Assert.StartsWith("token ", (await http.AskAsync("GET queue")).Body.GetProperty("pausedBy").GetString(), StringComparison.Ordinal);
        Assert.False((await http.AskAsync("POST queue/resume")).Body.GetProperty("isPaused").GetBoolean());
    }

    [Fact]
    public async Task A_network_is_banned_and_served_again()
    {
        await using var run = await ConsoleRun.StartAsync();
        using var http = await run.LogInAsync();
        Assert.Equal(HttpStatusCode.Created, (await http.AskAsync("POST bans", new { network = "192.0.2.0/24", @for = "12h", reason = "spam" })).Status);
        Assert.Equal("422 notANetwork network", await http.ProblemAsync("POST bans", new { network = "0.0.0.0/0" }));
        Assert.Equal("422 notATime for", await http.ProblemAsync("POST bans", new { network = "192.0.2.0/24", @for = "2000d" }));
        Assert.Equal("192.0.2.0/24", (await http.AskAsync("GET bans")).Body.GetProperty("bans")[0].GetProperty("network").GetString());
        Assert.Equal(HttpStatusCode.OK, (await http.AskAsync("DELETE bans/192.0.2.0/24")).Status);
        Assert.Empty(await run.Get<BanStore>().ListAsync(10, TestContext.Current.CancellationToken));
    }
}
