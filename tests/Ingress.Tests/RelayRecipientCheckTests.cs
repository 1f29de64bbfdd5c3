using System.Collections.Concurrent;
using System.Net;
using MailPipeline.Contracts;
using MailPipeline.Ingress.NextHops;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Testing;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>The next hop of a domain that we relay for is asked whether a recipient is there.</summary>
public sealed class RelayRecipientCheckTests
{
    private const string Domain = "asked.example";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_the_next_hop_says_is_said_and_remembered()
    {
        var hop = new NextHop();
        await using var host = await StartAsync(hop);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        for (var i = 0; i < 2; i++)
        {
            await client.SayAsync($"RCPT TO:<ann@{Domain}>", "250 2.1.5");
            await client.SayAsync($"RCPT TO:<ANN@{Domain}>", "250 2.1.5");
            await client.SayAsync($"RCPT TO:<refused@{Domain}>", "550 5.1.1 The host that has the mailboxes of that domain refuses this recipient");
            await client.SayAsync($"RCPT TO:<closed@{Domain}>", "550 5.2.1");
            await client.SayAsync($"RCPT TO:<odd@{Domain}>", "550 5.1.1");
        }

        Assert.Equal(["ann", "refused", "closed", "odd"], hop.Asked);
        // A temporary refusal is none, and is asked about anew.
        await client.SayAsync($"RCPT TO:<late@{Domain}>", "450 4.1.1 Cannot find out now whether that recipient is there, try again later");
        await client.SayAsync($"RCPT TO:<late@{Domain}>", "450 4.1.1");
        Assert.Equal(["late", "late"], hop.Asked.Skip(4));
        // The detail is part of the name: the next hop knows what it does with it.
        await client.SayAsync($"RCPT TO:<ann+x@{Domain}>", "250 2.1.5");
        Assert.Equal("ann+x", hop.Asked.Last());
        await client.SayAsync($"RCPT TO:<\"a%b\"@{Domain}>", "550 5.7.1 Relaying denied");
    }

    [Fact]
    public async Task Nobody_is_asked_about_a_name_that_is_known_here()
    {
        var hop = new NextHop();
        await using var host = await StartAsync(hop);
        await host.Directory.AddDomainAsync(new MailDomain("other.example", AliasOf: Domain));
        await host.Directory.AddAliasAsync($"listed@{Domain}", $"listed@{Domain}");
        await host.Directory.AddAliasAsync($"away@{Domain}", "ann@example.com");
        await host.Directory.AddAliasAsync("one@example.com", $"refused@{Domain}");
        await host.Directory.AddAliasAsync("several@example.com", $"refused@{Domain}");
        await host.Directory.AddAliasAsync("several@example.com", $"closed@{Domain}");
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        foreach (var known in (string[])[$"listed@{Domain}", $"away@{Domain}", "several@example.com", "ann@example.com"])
            await client.SayAsync($"RCPT TO:<{known}>", "250 2.1.5");
        Assert.Empty(hop.Asked);
        // Where an address leads to one alone, it is that one that is there or not.
        await client.SayAsync("RCPT TO:<one@example.com>", "550 5.1.1");
        await client.SayAsync("RCPT TO:<refused@other.example>", "550 5.1.1");
        Assert.Equal(["refused"], hop.Asked);
    }

    [Theory]
    [InlineData("Defer", "450 4.1.1")]
    [InlineData("Accept", "250 2.1.5")]
    public async Task While_the_next_hop_is_away_the_operator_s_word_counts(string policy, string reply)
    {
        var hop = new NextHop { Answer = _ => RecipientAnswer.Away };
        await using var host = await StartAsync(hop, null, ("WhenAway", policy));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        foreach (var name in (string[])["ann", "bob", "carol"])
            await client.SayAsync($"RCPT TO:<{name}@{Domain}>", reply);
        // Nobody waits for each of a long list.
        Assert.Equal(["ann"], hop.Asked);
        await using var user = await Client.AuthenticatedAsync(host.Submission);
        await user.SayAsync("MAIL FROM:<ann@example.com>", "250");
        await user.SayAsync($"RCPT TO:<ann@{Domain}>", "250 2.1.5");
    }

    [Fact]
    public async Task A_slow_answer_serves_the_next_try()
    {
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var hop = new NextHop { Until = _ => answer.Task };
        await using var host = await StartAsync(hop, null, ("MaxWait", "00:00:00.200"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync($"RCPT TO:<ann@{Domain}>", "450 4.1.1");
        answer.SetResult();
        await Eventually.TrueAsync(async () => (await client.AskAsync($"RCPT TO:<ann@{Domain}>")).StartsWith("250", StringComparison.Ordinal), TimeSpan.FromSeconds(20));
        Assert.Equal(["ann"], hop.Asked);
    }

    /// <summary>There are hosts that take their time with names that they do not know: that must not keep those from mail that they know.</summary>
    [Fact]
    public async Task A_hop_that_is_slow_with_some_names_is_asked_about_others()
    {
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        var hop = new NextHop { Until = address => address.StartsWith("slow", StringComparison.Ordinal) ? answer.Task : Task.CompletedTask, Answer = _ => RecipientAnswer.Taken };
        await using var host = await StartAsync(hop, time, ("MaxWait", "00:00:00.100"), ("MaxQuestionsPerDomain", "10"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await IsLateAsync("slow1");
        await IsLateAsync("slow2");
        await client.SayAsync($"RCPT TO:<ann@{Domain}>", "250 2.1.5");
        foreach (var name in (string[])["slow3", "slow4", "slow5"])
            await IsLateAsync(name);
        // By now it may be that it says nothing at all.
        await client.SayAsync($"RCPT TO:<carol@{Domain}>", "450 4.1.1");
        Assert.Equal(["ann", "slow1", "slow2", "slow3", "slow4", "slow5"], hop.Asked.Order());
        answer.SetResult();

        async Task IsLateAsync(string name)
        {
            var reply = client.AskAsync($"RCPT TO:<{name}@{Domain}>");
            await Eventually.TrueAsync(() => hop.Asked.Contains(name), TimeSpan.FromSeconds(20));
            await Eventually.TrueAsync(
                () =>
                {
                    time.Advance(TimeSpan.FromMilliseconds(100));
                    return reply.IsCompleted;
                },
                TimeSpan.FromSeconds(20));
            Assert.StartsWith("450 4.1.1", await reply, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Who_asks_for_the_same_shares_the_question_and_there_are_so_many_at_once()
    {
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var hop = new NextHop { Until = _ => answer.Task };
        await using var host = await StartAsync(hop, null, ("MaxQuestionsPerDomain", "2"), ("MaxWait", "00:00:20"));
        await host.Directory.AddDomainAsync(new MailDomain("second.example", Relay: "mail.example.net:25", Recipients: RelayRecipients.Verify));
        var clients = new List<Client>();
        foreach (var address in (string[])[$"ann@{Domain}", $"ann@{Domain}", $"ann@{Domain}", $"b@{Domain}", $"c@{Domain}", $"d@{Domain}", "e@second.example"])
        {
            clients.Add(await Client.GreetedAsync(host.Mx));
            await clients[^1].SayAsync("MAIL FROM:<bob@example.net>", "250");
            await clients[^1].SendAsync($"RCPT TO:<{address}>\r\n");
        }

        // Another domain has places of its own, and its turn came after theirs.
        await Eventually.TrueAsync(() => hop.Asked.Contains("e"), TimeSpan.FromSeconds(20));
        Assert.Equal(["ann", "b", "e"], hop.Asked.Order());
        answer.SetResult();
        foreach (var client in clients)
        {
            await client.ExpectAsync("250 2.1.5");
            await client.DisposeAsync();
        }

        Assert.Equal(["ann", "b", "c", "d", "e"], hop.Asked.Order());
    }

    [Fact]
    public async Task Who_tries_names_gets_so_far_in_a_minute_and_nobody_else_suffers()
    {
        var hop = new NextHop { Answer = address => address.StartsWith("ann@", StringComparison.Ordinal) ? RecipientAnswer.Taken : RecipientAnswer.Refused };
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await StartAsync(hop, time, ("MaxQuestionsPerMinute", "10"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync($"RCPT TO:<ann@{Domain}>", "250");
        for (var i = 0; i < 15; i++)
            await client.SayAsync($"RCPT TO:<x{i}@{Domain}>", i < 9 ? "550 5.1.1" : "450 4.1.1");
        Assert.Equal(10, hop.Asked.Count);
        await client.SayAsync($"RCPT TO:<ann@{Domain}>", "250");
        await client.SayAsync($"RCPT TO:<x3@{Domain}>", "550");
        time.Advance(TimeSpan.FromSeconds(61));
        await client.SayAsync($"RCPT TO:<x14@{Domain}>", "550");
        Assert.Equal(11, hop.Asked.Count);
    }

    [Fact]
    public async Task One_network_leaves_questions_to_the_others()
    {
        var hop = new NextHop { Answer = _ => RecipientAnswer.Taken };
        await using var host = await StartAsync(hop, new FakeTimeProvider(TimeProvider.System.GetUtcNow()), ("MaxQuestionsPerMinute", "50"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        for (var i = 0; i < 25; i++)
            await client.SayAsync($"RCPT TO:<x{i}@{Domain}>", i < 20 ? "250" : "450 4.1.1");

        await using var other = await Client.OpenAsync(host.Mx, IPAddress.Parse("127.0.0.2"));
        await other.ExpectAsync("220");
        await other.SayAsync("EHLO client.example.net", "250");
        await other.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await other.SayAsync($"RCPT TO:<y@{Domain}>", "250");
    }

    [Fact]
    public async Task What_is_known_has_its_time()
    {
        var hop = new NextHop();
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await StartAsync(hop, time);
        await RcptAsync(host, "refused", "550");
        await RcptAsync(host, "ann", "250");
        time.Advance(TimeSpan.FromHours(3));
        await RcptAsync(host, "refused", "550");
        Assert.Equal(["refused", "ann", "refused"], hop.Asked);

        // Who is taken is asked about again while nobody waits, and counts as taken while nobody says otherwise.
        time.Advance(TimeSpan.FromDays(7));
        hop.Answer = _ => RecipientAnswer.Away;
        await RcptAsync(host, "ann", "250");
        await Eventually.TrueAsync(() => hop.Asked.Count == 4, TimeSpan.FromSeconds(20));
        hop.Answer = _ => RecipientAnswer.Refused;
        await Eventually.TrueAsync(
            async () =>
            {
                time.Advance(RecipientQuestions.LeftAlone);
                return await RcptAsync(host, "ann") is ['5', ..];
            },
            TimeSpan.FromSeconds(20));

        hop.Answer = _ => RecipientAnswer.Taken;
        time.Advance(TimeSpan.FromHours(3));
        await RcptAsync(host, "ann", "250");
        hop.Answer = _ => RecipientAnswer.Away;
        time.Advance(TimeSpan.FromDays(31));
        await RcptAsync(host, "ann", "450");
    }

    [Fact]
    public async Task A_dead_bus_is_a_next_hop_that_is_away()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string>
        {
            // Nobody listens on port 1.
            ["ConnectionStrings:rabbitmq"] = "amqp://guest:guest@127.0.0.1:1/",
            ["Ingress:Checks:RelayRecipient:MaxWait"] = "00:00:00.200",
        });
        await host.Directory.AddDomainAsync(new MailDomain(Domain, Relay: "mail.example.net:25", Recipients: RelayRecipients.Verify));
        await RcptAsync(host, "ann", "450 4.1.1");
        await RcptAsync(host, "bob", "450 4.1.1");
    }

    [Fact]
    public void Of_what_is_remembered_the_oldest_is_forgotten()
    {
        var time = new FakeTimeProvider();
        var known = new KnownRecipients<int>(most: 3, TimeSpan.FromMinutes(10), time);
        for (var i = 0; i < 1000; i++)
        {
            known.Add($"x{i}", i);
            known.Add("often", i);
            time.Advance(TimeSpan.FromMilliseconds(1));
        }

        Assert.True(known.TryFind("OFTEN", out var last, out _));
        Assert.Equal(999, last);
        Assert.True(known.TryFind("x999", out _, out _));
        Assert.True(known.TryFind("x998", out _, out _));
        Assert.False(known.TryFind("x997", out _, out _));
        time.Advance(TimeSpan.FromMinutes(10));
        Assert.False(known.TryFind("often", out _, out _));
    }

    private static async Task RcptAsync(IngressHost host, string name, string reply) =>
        Assert.StartsWith(reply, await RcptAsync(host, name), StringComparison.Ordinal);

    private static async Task<string> RcptAsync(IngressHost host, string name)
    {
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        return await client.AskAsync($"RCPT TO:<{name}@{Domain}>");
    }

    private static async Task<IngressHost> StartAsync(NextHop hop, FakeTimeProvider? time = null, params (string Setting, string Value)[] settings)
    {
        var host = await IngressHost.StartAsync(
            settings.ToDictionary(pair => $"Ingress:Checks:RelayRecipient:{pair.Setting}", pair => pair.Value), time,
            services => services.AddSingleton(hop), bus => bus.AddConsumer<HopConsumer, HopDefinition>());
        await host.Directory.AddDomainAsync(new MailDomain(Domain, Relay: "mail.example.net:25", Recipients: RelayRecipients.Verify));
        return host;
    }

    /// <summary>Delivery, and the host that it asks.</summary>
    private sealed class NextHop
    {
        public ConcurrentQueue<string> Asked { get; } = [];

        public Func<string, RecipientAnswer> Answer { get; set; } = address => address.Split('@')[0] switch
        {
            "refused" or "closed" or "odd" => RecipientAnswer.Refused,
            "late" => RecipientAnswer.PutOff,
            _ => RecipientAnswer.Taken,
        };

        public Func<string, Task> Until { get; init; } = _ => Task.CompletedTask;

        public async Task<RecipientVerified> AskAsync(string address)
        {
            Asked.Enqueue(address.Split('@')[0]);
            await Until(address);
            return new RecipientVerified(address, Answer(address), address.StartsWith("closed", StringComparison.Ordinal) ? "5.2.1" : address.StartsWith("odd", StringComparison.Ordinal) ? "5.0.0" : "5.1.1");
        }
    }

    private sealed class HopConsumer(NextHop hop, MailBus bus) : IConsumer<VerifyRecipient>
    {
        public async Task Consume(ConsumeContext<VerifyRecipient> context) =>
            await bus.AnswerAsync(context.Message.AnswerTo, await hop.AskAsync(context.Message.Address), Cancellation);
    }

    private sealed class HopDefinition : ConsumerDefinition<HopConsumer>
    {
        public HopDefinition() => EndpointName = BusEndpoints.VerifyRecipient;
    }
}
