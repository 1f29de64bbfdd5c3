using System.Net;
using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.Testing;

namespace MailPipeline.Console.Tests;

/// <summary>What the API keeps of its own: tokens, and answers to requests with a key. The same on each engine.</summary>
public abstract class KeptTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private protected abstract Task<ConsoleRun> StartAsync();

    [Fact]
    public async Task A_name_and_a_secret_are_one_token_s()
    {
        await using var run = await StartAsync();
        var tokens = run.Get<ApiTokenStore>();
        var secret = TokenText.Create();
        var first = new ApiToken("first", ApiScopes.Read, "", "", run.Time.GetUtcNow(), "ann", null, null);
        Assert.True(await tokens.AddAsync(first, secret, ConsoleRun.By));
        Assert.False(await tokens.AddAsync(first with { Scopes = ApiScopes.Administer }, TokenText.Create(), ConsoleRun.By));
        Assert.False(await tokens.AddAsync(first with { Name = "second", Scopes = ApiScopes.Administer }, secret, ConsoleRun.By));
        Assert.Equal(first, Assert.Single(await tokens.ListAsync(Cancellation)));
        // Who has lost it makes another of the same name.
        Assert.Equal(first, await tokens.RemoveAsync("first", ConsoleRun.By));
        Assert.Null(await tokens.RemoveAsync("first", ConsoleRun.By));
        Assert.Null(await tokens.FindAsync(secret, Cancellation));
        Assert.True(await tokens.AddAsync(first, TokenText.Create(), ConsoleRun.By));
    }

    [Fact]
    public async Task A_token_ends_with_its_time_its_removal_and_its_account()
    {
        await using var run = await StartAsync();
        await run.MakeAsync("ann@example.org");
        var tokens = run.Get<ApiTokens>();
        var timed = Assert.IsType<TokenMade>(await tokens.MakeAsync("timed", ApiScopes.Read, "", TimeSpan.FromHours(1), ConsoleRun.By, Cancellation));
        var removed = Assert.IsType<TokenMade>(await tokens.MakeAsync("removed", ApiScopes.Read, "", null, ConsoleRun.By, Cancellation));
        var hers = Assert.IsType<TokenMade>(await tokens.MakeAsync("hers", ApiScopes.Read, "ann@example.org", null, ConsoleRun.By, Cancellation));
        foreach (var secret in new[] { timed.Secret, removed.Secret, hers.Secret })
        {
            using var http = run.Connect(secret);
            Assert.Equal(HttpStatusCode.OK, (await http.AskAsync("GET accounts")).Status);
        }
        Assert.All(await tokens.ListAsync(Cancellation), token => Assert.Equal(run.Time.GetUtcNow(), token.UsedAt));
        run.Time.Advance(TimeSpan.FromHours(1));
        await tokens.RemoveAsync("removed", ConsoleRun.By);
        await run.Get<Accounts>().RemoveAsync("ann@example.org", ConsoleRun.By, Cancellation);
        foreach (var secret in new[] { timed.Secret, removed.Secret, hers.Secret })
        {
            using var http = run.Connect(secret);
            Assert.Equal("401 noToken", await http.ProblemAsync("GET accounts"));
        }
        // Nothing of it is in the store.
        Assert.DoesNotContain(await tokens.ListAsync(Cancellation), token => token.Name == "hers");
    }

    [Fact]
    public async Task A_repeated_request_with_the_same_key_is_answered_as_the_first_was()
    {
        await using var run = await StartAsync();
        using var http = await run.LogInAsync();
        var key = ("Idempotency-Key", "k1");
        var (status, first, response) = await http.AskAsync("POST domains", new { name = "a.example" }, key);
        Assert.Equal(HttpStatusCode.Created, status);
        var (again, second, repeated) = await http.AskAsync("POST domains", new { name = "a.example" }, key);
        Assert.Equal((status, first.GetRawText(), response.Headers.Location), (again, second.GetRawText(), repeated.Headers.Location));
        Assert.Equal("422 keyOfAnother Idempotency-Key", await http.ProblemAsync("POST domains", new { name = "b.example" }, key));
        // What was refused is refused in the same words.
        Assert.Equal("422 notADomain name", await http.ProblemAsync("POST domains", new { name = ".." }, ("Idempotency-Key", "k2")));
        Assert.Equal("422 notADomain name", await http.ProblemAsync("POST domains", new { name = ".." }, ("Idempotency-Key", "k2")));
        // Another's key is another key, and so is one after a day.
        using var other = await run.LogInAsync();
        Assert.Equal("409 domainAlreadyThere", await other.ProblemAsync("POST domains", new { name = "a.example" }, key));
        run.Time.Advance(TimeSpan.FromHours(25));
        Assert.Equal("409 domainAlreadyThere", await http.ProblemAsync("POST domains", new { name = "a.example" }, key));
        Assert.Equal("400 badKey Idempotency-Key", await http.ProblemAsync("POST domains", new { name = "c.example" }, ("Idempotency-Key", new string('k', 201))));
    }

    [Fact]
    public async Task Of_a_key_that_somebody_died_with_the_request_is_done_again()
    {
        await using var run = await StartAsync();
        var store = run.Get<ApiAnswerStore>();
        var dead = Assert.IsType<AnswerWanted>(await store.BeginAsync("k", "r", Cancellation));
        Assert.IsType<AnswerUnderWay>(await store.BeginAsync("k", "r", Cancellation));
        run.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.IsType<AnswerOfAnother>(await store.BeginAsync("k", "other", Cancellation));
        var second = Assert.IsType<AnswerWanted>(await store.BeginAsync("k", "r", Cancellation));
        await store.EndAsync("k", second, new AnswerKept(201, "", "application/json", "{}"));
        // Who was slow, and not dead, changes nothing of it.
        await store.EndAsync("k", dead, new AnswerKept(409, "", "application/json", "{}"));
        await store.GiveUpAsync("k", second);
        Assert.Equal(new AnswerKept(201, "", "application/json", "{}"), await store.BeginAsync("k", "r", Cancellation));
    }
}

public sealed class Kept_in_SQLite : KeptTests
{
    private protected override Task<ConsoleRun> StartAsync() => ConsoleRun.StartAsync();
}

public sealed class Kept_in_PostgreSQL(ConsolePostgres postgres) : KeptTests
{
    private protected override async Task<ConsoleRun> StartAsync() =>
        await ConsoleRun.StartAsync($"ConnectionStrings:maildb={await postgres.Server.CreateDatabaseAsync(TestContext.Current.CancellationToken)}");
}
