using System.Net;
using System.Runtime.CompilerServices;
using MailPipeline.Ingress.Checks;
using MailPipeline.Ingress.Limits;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using MailPipeline.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>
/// How much of something one of them may do in a time: <see cref="ConnectionLimitCheck"/>, <see cref="MessageLimitCheck"/>,
/// <see cref="RecipientLimitCheck"/> and, of logins and failures, <see cref="DoorLimits"/>.
/// </summary>
public sealed class LimitTests
{
    private static readonly Dictionary<string, string> s_settings = new()
    {
        ["Ingress:AllowCleartextAuth"] = "true",
        ["Ingress:AuthFailureDelay"] = "0",
        ["Ingress:RelayClients:0"] = "203.0.113.99",
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Messages_of_a_client_network_beyond_the_limit_are_put_off_until_some_time_has_gone()
    {
        using var policy = Policy("""{ "Name": "mails", "Of": "Network", "What": "Messages", "Count": 2, "Window": "1h" }""");
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await policy.StartAsync(settings: s_settings, time: time);
        using var reached = host.Metric<long>("mailpipeline.ingress.limits_reached");
        await using var client = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await MailAsync(client, "250");
        await MailAsync(client, "250");
        await MailAsync(client, "451 4.7.1 Too much lately, try again later");
        await using var other = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.10");
        await MailAsync(other, "250");
        foreach (var exempt in (string[])["203.0.113.99", "127.0.0.1"])
        {
            await using var listed = await WrittenPolicy.GreetedAsync(host.Mx, exempt);
            for (var i = 0; i < 4; i++)
                await MailAsync(listed, "250");
        }

        time.Advance(TimeSpan.FromMinutes(30));
        await using var later = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await MailAsync(later, "250");
        await MailAsync(later, "451");
        Assert.Equal(["mails", "mails"], reached.GetMeasurementSnapshot().Select(said => (string)said.Tags["rule"]!));
    }

    [Fact]
    public async Task Recipients_of_an_account_count_and_those_of_strangers_do_not()
    {
        using var policy = Policy("""{ "Name": "users", "Of": "Account", "What": "Recipients", "Count": 3, "Window": "1d" }""");
        await using var host = await policy.StartAsync(settings: s_settings);
        for (var session = 0; session < 2; session++)
        {
            await using var user = await UserAsync(host, $"203.0.113.{session + 1}");
            await user.SayAsync("MAIL FROM:<ann@example.com>", "250");
            await user.SayAsync("RCPT TO:<a@example.net>", "250");
            await user.SayAsync("RCPT TO:<b@example.net>", session == 0 ? "250" : "451 4.7.1 Too much lately");
        }

        await using var stranger = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await stranger.SayAsync("MAIL FROM:<ann@example.net>", "250");
        for (var i = 0; i < 5; i++)
            await stranger.SayAsync("RCPT TO:<ann@example.com>", "250");
    }

    [Fact]
    public async Task A_sender_domain_and_a_listener_have_limits_of_their_own()
    {
        using var policy = Policy(
            """{ "Name": "domain", "Of": "SenderDomain", "What": "Messages", "Count": 1, "Window": "1h" }""",
            """{ "Name": "mx", "Of": "Listener", "What": "Messages", "Count": 3, "Window": "1h", "Listeners": "Mx" }""");
        await using var host = await policy.StartAsync(settings: s_settings);
        using var verdicts = host.Metric<long>("mailpipeline.ingress.check_verdicts");
        await using var client = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await using var other = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.10");
        await MailAsync(client, "250", "bob@a.example");
        await MailAsync(other, "451", "carl@A.example");
        await MailAsync(client, "250", "bob@b.example");
        // The null path is nobody's domain.
        await MailAsync(client, "250", "");
        await MailAsync(other, "451", "bob@c.example");
        await using var user = await UserAsync(host, "203.0.113.9");
        await MailAsync(user, "250", "ann@example.com");
        Assert.Equal(["domain", "mx"], verdicts.GetMeasurementSnapshot().Select(said => (string)said.Tags["rule"]!));
    }

    /// <summary>Listeners that a limit names have a bucket each, those of a kind one together; a limit is for those alone that it names.</summary>
    [Theory]
    [InlineData("one, two", "250", "451")]
    [InlineData("Mx", "451", "451")]
    [InlineData("one", "250", "250")]
    [InlineData("two", "250", "451")]
    public async Task Listeners_that_a_limit_names_are_bounded_each_by_itself(string listeners, string first, string second)
    {
        using var policy = Policy($$"""{ "Name": "doors", "Of": "Listener", "What": "Messages", "Count": 1, "Window": "1h", "Listeners": "{{listeners}}" }""");
        await using var host = await policy.StartAsync(settings: new Dictionary<string, string>(s_settings)
        {
            ["Ingress:Listeners:0:Name"] = "one",
            ["Ingress:Listeners:1:Kind"] = "Mx",
            ["Ingress:Listeners:1:Name"] = "two",
        });
        await using var one = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await MailAsync(one, "250");
        await using var two = await WrittenPolicy.GreetedAsync(host.Submission, "203.0.113.10");
        await MailAsync(two, first);
        await MailAsync(two, second);
    }

    [Fact]
    public async Task Connections_beyond_the_limit_hear_421()
    {
        using var policy = Policy("""{ "Name": "connections", "Of": "Network", "What": "Connections", "Count": 2, "Window": "1h" }""");
        await using var host = await policy.StartAsync(settings: s_settings);
        for (var i = 0; i < 2; i++)
            await using (await WrittenPolicy.GreetedAsync(host.Mx, "2001:db8::1")) { }
        await using var one = await WrittenPolicy.OpenAsync(host.Mx, "2001:db8::2");
        await one.ExpectAsync("421 4.7.1 Too much from your address lately");
        await one.ExpectEndAsync();
        await using var other = await WrittenPolicy.GreetedAsync(host.Mx, "2001:db8:0:1::1");
    }

    [Fact]
    public async Task Who_fails_too_often_is_banned_for_a_time_that_an_operator_may_end()
    {
        using var policy = Policy("""{ "Name": "harvest", "Of": "Network", "What": "FailedCommands", "Count": 3, "Window": "1h", "Ban": "2h" }""");
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await policy.StartAsync(settings: s_settings, time: time);
        var (store, list) = (host.Services.GetRequiredService<BanStore>(), host.Services.GetRequiredService<BanList>());
        using var bans = host.Metric<long>("mailpipeline.ingress.bans");
        await FailAsync(host, 3);
        var ban = await BanAsync(store);
        Assert.Equal(("203.0.113.9/32", "limit harvest", TimeSpan.FromHours(2)), (ban.Network.ToString(), ban.SetBy, ban.Until - ban.Since));
        // It is counted when it is stored.
        await bans.WaitForMeasurementsAsync(1, Cancellation);
        Assert.Equal("harvest", Assert.Single(bans.GetMeasurementSnapshot()).Tags["rule"]);
        await list.ReadAsync(Cancellation);
        await using (var banned = await WrittenPolicy.OpenAsync(host.Mx, "203.0.113.9"))
            await banned.ExpectAsync("421 4.7.1 Nobody is served");

        // It is as if nothing had been.
        await store.LiftAsync(ban.Network, new OperatorIdentity("joe"));
        await list.ReadAsync(Cancellation);
        await FailAsync(host, 2);
        await using (await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9")) { }
        Assert.Empty(await store.ListAsync(10, Cancellation));
        await FailAsync(host, 1);
        await BanAsync(store);
    }

    [Fact]
    public async Task Without_a_ban_who_has_failed_too_often_is_not_served_when_he_comes_again()
    {
        using var policy = Policy("""{ "Name": "harvest", "Of": "Network", "What": "FailedCommands", "Count": 2, "Window": "1h" }""");
        await using var host = await policy.StartAsync(settings: s_settings);
        await FailAsync(host, 2);
        await using var again = await WrittenPolicy.OpenAsync(host.Mx, "203.0.113.9");
        await again.ExpectAsync("421 4.7.1 Too much from your address lately");
        Assert.Empty(await host.Services.GetRequiredService<BanStore>().ListAsync(10, Cancellation));
    }

    [Fact]
    public async Task Failed_logins_are_counted_and_good_ones_are_not()
    {
        using var policy = Policy("""{ "Name": "guesses", "Of": "Network", "What": "FailedLogins", "Count": 2, "Window": "1h" }""");
        await using var host = await policy.StartAsync(settings: s_settings);
        for (var i = 0; i < 5; i++)
            await using (await UserAsync(host, "203.0.113.9")) { }
        await using (var guess = await WrittenPolicy.GreetedAsync(host.Submission, "203.0.113.9"))
        {
            await guess.SayAsync(Login("wrong"), "535 5.7.8");
            await guess.SayAsync(Login("wrong"), "535 5.7.8");
            await guess.SayAsync(Login("secret"), "454 4.7.0");
        }

        await using (var again = await WrittenPolicy.OpenAsync(host.Submission, "203.0.113.9"))
            await again.ExpectAsync("421 4.7.1 Too much");
        await using (await UserAsync(host, "203.0.113.10")) { }
    }

    [Fact]
    public async Task Logins_under_way_and_those_that_nobody_judged_are_no_failures()
    {
        using var policy = Policy("""{ "Name": "guesses", "Of": "Network", "What": "FailedLogins", "Count": 2, "Window": "1h", "Ban": "1h" }""");
        await using var host = await policy.StartAsync(settings: s_settings);
        var (limits, context) = (host.Services.GetRequiredService<DoorLimits>(), Stranger());
        // As many at once as the limit has, all of them right.
        Assert.True(await limits.MayLogInAsync(context, "ann@example.com"));
        Assert.True(await limits.MayLogInAsync(context, "ann@example.com"));
        Assert.False(await limits.MayLogInAsync(context, "ann@example.com"));
        await limits.LoginNotFailedAsync(context, "ann@example.com");
        Assert.True(await limits.MayLogInAsync(context, "ann@example.com"));
        // One fails, while the other one is under way.
        await limits.LoginFailedAsync(context, "ann@example.com");
        Assert.Empty(await host.Services.GetRequiredService<BanStore>().ListAsync(10, Cancellation));
        await limits.LoginNotFailedAsync(context, "ann@example.com");
        Assert.True(await limits.MayLogInAsync(context, "ann@example.com"));
        await limits.LoginFailedAsync(context, "ann@example.com");
        Assert.Equal("limit guesses", (await BanAsync(host.Services.GetRequiredService<BanStore>())).SetBy);
    }

    [Fact]
    public async Task Logins_that_storage_did_not_judge_do_not_count()
    {
        using var policy = Policy("""{ "Name": "guesses", "Of": "Network", "What": "FailedLogins", "Count": 2, "Window": "1h", "Ban": "1h" }""");
        await using var host = await policy.StartAsync(settings: s_settings);
        await RunAsync("ALTER TABLE accounts RENAME TO gone");
        for (var i = 0; i < 3; i++)
        {
            await using var unheard = await WrittenPolicy.GreetedAsync(host.Submission, "203.0.113.9");
            await unheard.SendAsync(Login("secret") + "\r\n");
            Assert.DoesNotContain(await unheard.ReplyAsync() is { } reply ? reply[..3] : "", (string[])["235", "535"]);
        }

        await host.NoSessionsAsync();
        await RunAsync("ALTER TABLE gone RENAME TO accounts");
        await using (await UserAsync(host, "203.0.113.9")) { }
        Assert.Empty(await host.Services.GetRequiredService<BanStore>().ListAsync(10, Cancellation));

        async Task RunAsync(string sql)
        {
            await using var database = new SqliteConnection($"Data Source={host.DatabasePath};Pooling=False");
            await database.OpenAsync(Cancellation);
            await using var command = database.CreateCommand();
            command.CommandText = sql;
            await command.ExecuteNonQueryAsync(Cancellation);
        }
    }

    [Fact]
    public async Task A_ban_ends_the_guesses_of_sessions_under_way_and_its_end_begins_anew()
    {
        using var policy = Policy("""{ "Name": "guesses", "Of": "Network", "What": "FailedLogins", "Count": 2, "Window": "10d", "Ban": "1h" }""");
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await policy.StartAsync(settings: s_settings, time: time);
        var list = host.Services.GetRequiredService<BanList>();
        await using var guess = await WrittenPolicy.GreetedAsync(host.Submission, "203.0.113.9");
        await using var other = await WrittenPolicy.GreetedAsync(host.Submission, "203.0.113.9");
        await guess.SayAsync(Login("wrong"), "535 5.7.8");
        await guess.SayAsync(Login("wrong"), "535 5.7.8");
        // Neither before the list is read nor afterwards.
        await guess.SayAsync(Login("wrong"), "454 4.7.0");
        await list.ReadAsync(Cancellation);
        await guess.SayAsync(Login("secret"), "454 4.7.0");
        await other.SayAsync(Login("secret"), "454 4.7.0");
        time.Advance(TimeSpan.FromHours(1));
        await using (var again = await WrittenPolicy.GreetedAsync(host.Submission, "203.0.113.9"))
        {
            await again.SayAsync(Login("wrong"), "535 5.7.8");
            await again.SayAsync(Login("secret"), "235");
        }
    }

    [Fact]
    public async Task An_operator_s_ban_ends_the_guesses_of_sessions_under_way_without_any_limit()
    {
        await using var host = await IngressHost.StartAsync(
            new Dictionary<string, string>(s_settings) { ["Ingress:ProxyProtocolFrom:0"] = "127.0.0.1" });
        await using var guess = await WrittenPolicy.GreetedAsync(host.Submission, "203.0.113.9");
        await guess.SayAsync(Login("wrong"), "535 5.7.8");
        await host.Services.GetRequiredService<BanStore>().SetAsync(
            IPNetwork.Parse("203.0.113.0/24"), TimeSpan.FromHours(1), "", new OperatorIdentity("joe"));
        await host.Services.GetRequiredService<BanList>().ReadAsync(Cancellation);
        await guess.SayAsync(Login("secret"), "454 4.7.0");
    }

    [Fact]
    public async Task A_name_that_nobody_can_have_is_not_kept()
    {
        using var policy = Policy("""{ "Name": "guesses", "Of": "Account", "What": "FailedLogins", "Count": 2, "Window": "1h" }""");
        await using var host = await policy.StartAsync(settings: s_settings);
        var (limits, context) = (host.Services.GetRequiredService<DoorLimits>(), Stranger());
        await limits.LoginFailedAsync(context, new string('x', 2000));
        Assert.Equal(0, Assert.IsType<MemoryBuckets>(host.Services.GetRequiredService<ITokenBuckets>()).Count);
        await limits.LoginFailedAsync(context, "ann@example.com");
        Assert.Equal(1, Assert.IsType<MemoryBuckets>(host.Services.GetRequiredService<ITokenBuckets>()).Count);
    }

    [Fact]
    public async Task Networks_may_be_excepted_from_a_limit()
    {
        using var policy = Policy(
            """{ "Name": "mails", "Of": "Network", "What": "Messages", "Count": 1, "Window": "1h", "Ban": "1h", "ExceptNetworks": [ "203.0.113.0/28" ] }""");
        await using var host = await policy.StartAsync(settings: s_settings);
        await using var excepted = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        for (var i = 0; i < 3; i++)
            await MailAsync(excepted, "250");
        await using var other = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.19");
        await MailAsync(other, "250");
        await MailAsync(other, "451");
    }

    [Fact]
    public async Task Hosts_may_be_excepted_from_a_limit_by_a_name_that_has_their_address()
    {
        using var policy = Policy(
            """{ "Name": "mails", "Of": "Network", "What": "Messages", "Count": 1, "Window": "1h", "Ban": "1h", "ExceptHosts": [ "hosts.example" ] }""",
            """{ "Name": "mistakes", "Of": "Network", "What": "FailedCommands", "Count": 1, "Window": "1h", "ExceptHosts": [ "hosts.example" ] }""");
        await using var dns = await DnsServer.StartAsync("""
            9.113.0.203.in-addr.arpa. PTR mx.hosts.example.
            mx.hosts.example. A 203.0.113.9
            ; Who has an address may call it as he likes.
            10.113.0.203.in-addr.arpa. PTR mx.hosts.example.
            11.113.0.203.in-addr.arpa. PTR mx.other-hosts.example.
            mx.other-hosts.example. A 203.0.113.11
            ; It may have several names.
            13.113.0.203.in-addr.arpa. PTR a.other.example.
            13.113.0.203.in-addr.arpa. PTR mx2.hosts.example.
            13.113.0.203.in-addr.arpa. PTR z.other.example.
            a.other.example. A 203.0.113.13
            mx2.hosts.example. A 203.0.113.13
            z.other.example. A 203.0.113.13
            """, Cancellation);
        await using var host = await policy.StartAsync(dns.EndPoint, s_settings);
        await using (var excepted = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9"))
        {
            await excepted.SayAsync("NONSENSE", "500");
            await excepted.SayAsync("NONSENSE", "500");
            for (var i = 0; i < 3; i++)
                await MailAsync(excepted, "250");
        }

        await using (var several = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.13"))
        {
            await MailAsync(several, "250");
            await MailAsync(several, "250");
        }

        await using var again = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        foreach (var address in (string[])["203.0.113.10", "203.0.113.11", "203.0.113.12"])
        {
            await using var other = await WrittenPolicy.GreetedAsync(host.Mx, address);
            await MailAsync(other, "250");
            await MailAsync(other, "451");
        }
    }

    [Fact]
    public async Task Names_are_waited_for_once_and_not_for_long()
    {
        await using var dns = new SilentDnsServer();
        using var policy = Policy(
            """{ "Name": "mails", "Of": "Network", "What": "Messages", "Count": 1, "Window": "1h", "Ban": "1h", "ExceptHosts": [ "hosts.example" ] }""",
            """{ "Name": "connections", "Of": "Network", "What": "Connections", "Count": 9, "Window": "1h", "ExceptHosts": [ "hosts.example" ] }""");
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await policy.StartAsync(dns.EndPoint, new Dictionary<string, string>(s_settings) { ["Dns:Timeout"] = "30s" }, time);
        var opening = WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await Eventually.TrueAsync(() => dns.Questions > 0, TimeSpan.FromSeconds(20));
        Assert.False(opening.IsCompleted);
        await using var client = await Eventually.EndsAsync(opening, () => time.Advance(TimeSpan.FromSeconds(1)), Cancellation);
        using var bans = host.Metric<long>("mailpipeline.ingress.bans");
        // Time does not go on any more: nobody waits.
        await MailAsync(client, "250");
        await MailAsync(client, "451");
        // It may be one of those that are excepted.
        Assert.Empty(bans.GetMeasurementSnapshot());
    }

    [Fact]
    public async Task Nobody_asks_for_names_where_none_is_excepted()
    {
        await using var dns = new SilentDnsServer();
        using var policy = Policy(
            """{ "Name": "mails", "Of": "Network", "What": "Messages", "Count": 1, "Window": "1h" }""",
            // An account has no name of a host.
            """{ "Name": "users", "Of": "Account", "What": "Messages", "Count": 1, "Window": "1h", "ExceptHosts": [ "hosts.example" ] }""");
        await using var host = await policy.StartAsync(dns.EndPoint, s_settings);
        await using var client = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await MailAsync(client, "250");
        await MailAsync(client, "451");
        Assert.Equal(0, dns.Questions);
    }

    [Fact]
    public async Task A_proxy_is_not_judged_before_it_has_named_its_client_and_the_client_is()
    {
        using var policy = Policy("""{ "Name": "connections", "Of": "Network", "What": "Connections", "Count": 1, "Window": "1h" }""");
        await using var host = await policy.StartAsync(
            settings: new Dictionary<string, string>(s_settings) { ["Ingress:XclientFrom:0"] = "203.0.113.50" });
        await host.Services.GetRequiredService<BanStore>().SetAsync(
            IPNetwork.Parse("203.0.113.0/24"), TimeSpan.FromHours(1), "", new OperatorIdentity("joe"));
        await host.Services.GetRequiredService<BanList>().ReadAsync(Cancellation);
        for (var i = 0; i < 3; i++)
        {
            await using var proxy = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.50");
            await proxy.SayAsync($"XCLIENT ADDR=198.51.100.{i}", "220");
        }

        await using (var again = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.50"))
            await again.SayAsync("XCLIENT ADDR=198.51.100.1", "421 4.7.1 Too much");
        await using (var banned = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.50"))
            await banned.SayAsync("XCLIENT ADDR=203.0.113.7", "421 4.7.1 Nobody is served");
    }

    [Fact]
    public async Task Where_Redis_is_away_mail_goes_on_and_logins_wait()
    {
        using var policy = Policy(
            """{ "Name": "mails", "Of": "Network", "What": "Messages", "Count": 1, "Window": "1h" }""",
            """{ "Name": "guesses", "Of": "Network", "What": "FailedLogins", "Count": 2, "Window": "1h" }""");
        await using var redis = await RedisServer.StartAsync(Cancellation);
        await using var host = await policy.StartAsync(
            settings: new Dictionary<string, string>(s_settings) { ["ConnectionStrings:limits"] = redis.ConnectionString });
        Assert.IsType<RedisBuckets>(host.Services.GetRequiredService<ITokenBuckets>());
        using var away = host.Metric<long>("mailpipeline.ingress.limits_away");
        await using var client = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await MailAsync(client, "250");
        await MailAsync(client, "451 4.7.1");
        await using (await UserAsync(host, "203.0.113.9")) { }
        await redis.KillAsync();
        await MailAsync(client, "250");
        await MailAsync(client, "250");
        await using (var user = await WrittenPolicy.GreetedAsync(host.Submission, "203.0.113.9"))
            await user.SayAsync(Login("secret"), "454 4.7.0");
        Assert.True(away.GetMeasurementSnapshot().Count >= 3);
        await redis.RestartAsync(Cancellation);
        await Eventually.TrueAsync(
            async () =>
            {
                await using var later = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
                return (await later.AskAsync("MAIL FROM:<bob@example.net>")).StartsWith("451", StringComparison.Ordinal);
            },
            TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task The_Redis_of_the_silos_is_not_the_one_of_the_limits()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["ConnectionStrings:redis"] = "127.0.0.1:9" });
        Assert.IsType<MemoryBuckets>(host.Services.GetRequiredService<ITokenBuckets>());
    }

    [Theory]
    [InlineData("""{ "Name": "a", "Of": "Network", "What": "Messages", "Count": 1, "Window": "1h", "ExceptNetworks": [ "x" ] }""", "Policy:Limits:0:ExceptNetworks:0 is 'x'; it must be an IP address or a network such as 192.0.2.0/24")]
    [InlineData("""{ "Name": "a", "Of": "Network", "What": "Messages", "Count": 1, "Window": "1h", "ExceptHosts": [ "a b" ] }""", "Policy:Limits:0:ExceptHosts:0 is 'a b'; it must be a domain name such as example.org")]
    [InlineData("""{ "Name": "a b", "Of": "Network", "What": "Messages", "Count": 1, "Window": "1h" }""", "Policy:Limits:0:Name is 'a b'; it must be 1 to 40 letters, digits, '-', '.' and '_'")]
    [InlineData("""{ "Name": "a\n", "Of": "Network", "What": "Messages", "Count": 1, "Window": "1h" }""", "Policy:Limits:0:Name is 'a\n'; it must be 1 to 40 letters, digits, '-', '.' and '_'")]
    [InlineData("""{ "Name": "a", "What": "Messages", "Count": 1, "Window": "1h" }""", "Policy:Limits:0:Of is not set; it must be one of Network, Account, SenderDomain, Listener")]
    [InlineData("""{ "Name": "a", "Of": "Network", "Count": 1, "Window": "1h" }""", "Policy:Limits:0:What is not set; it must be one of Connections, Messages, Recipients, FailedCommands, FailedLogins")]
    [InlineData("""{ "Name": "a", "Of": "Account", "What": "Connections", "Count": 1, "Window": "1h" }""", "Policy:Limits:0:Of is Account, and Policy:Limits:0:What is Connections; of that it must be one of Network, Listener")]
    [InlineData("""{ "Name": "a", "Of": "Network", "What": "Messages", "Count": 0, "Window": "1h" }""", "Policy:Limits:0:Count is 0; it must be 1 to 1000000000")]
    [InlineData("""{ "Name": "a", "Of": "Network", "What": "Messages", "Count": 1 }""", "Policy:Limits:0:Window is 00:00:00; it must be 00:00:01 to 31.00:00:00")]
    [InlineData("""{ "Name": "a", "Of": "Network", "What": "Messages", "Count": 1, "Window": "1h", "Listeners": "edge, inner" }""", "Policy:Limits:0:Listeners is 'edge, inner'; it must be one or more of None, Mx, Submission, Lmtp, All, edge (kinds of listeners, and names as of Ingress:Listeners:N:Name)")]
    [InlineData("""{ "Name": "a", "Of": "Account", "What": "Messages", "Count": 1, "Window": "1h", "Ban": "1h" }""", "Policy:Limits:0:Ban is 01:00:00, and Policy:Limits:0:Of is Account; only a Network is banned")]
    public void What_is_wrong_is_said_with_its_name(string rule, string expected)
    {
        using var policy = Policy(rule);
        var failures = new List<string>();
        PolicyFile.Validate("x", policy.Path, [new() { Name = "edge" }], failures);
        Assert.Contains($"x is '{policy.Path}': {expected}", failures);
    }

    /// <summary>What is known of a session, whose connection is nowhere: nothing is said by it.</summary>
    private static CheckContext Stranger()
    {
        var connection = (LineConnection)RuntimeHelpers.GetUninitializedObject(typeof(LineConnection));
        connection.NameClient(IPAddress.Parse("203.0.113.9"), 4711, IPAddress.Parse("192.0.2.25"));
        var session = new SmtpSession(new SmtpProfile { Kind = ListenerKind.Submission, HostName = "mx.example.com" });
        return new CheckContext(session, connection, isRelayClient: false);
    }

    private static WrittenPolicy Policy(params string[] rules) => new($$"""{ "Limits": [ {{string.Join(", ", rules)}} ] }""");

    private static async Task MailAsync(Client client, string reply, string sender = "bob@example.net")
    {
        await client.SayAsync($"MAIL FROM:<{sender}>", reply);
        await client.SayAsync("RSET", "250");
    }

    private static string Login(string password) => "AUTH PLAIN " + Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes($"\0ann@example.com\0{password}"));

    private static async Task<Client> UserAsync(IngressHost host, string address)
    {
        var user = await WrittenPolicy.GreetedAsync(host.Submission, address);
        await user.SayAsync(Login("secret"), "235");
        return user;
    }

    private static async Task FailAsync(IngressHost host, int times)
    {
        await using var client = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        for (var i = 0; i < times; i++)
            await client.SayAsync($"RCPT TO:<nobody{i}@example.com>", "550 5.1.1");
        await client.SayAsync("QUIT", "221");
    }

    private static async Task<Ban> BanAsync(BanStore store)
    {
        IReadOnlyList<Ban> found = [];
        await Eventually.TrueAsync(async () => (found = await store.ListAsync(10, Cancellation)).Count == 1, TimeSpan.FromSeconds(20));
        return found[0];
    }
}
