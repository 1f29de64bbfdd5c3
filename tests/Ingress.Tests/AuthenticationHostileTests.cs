using MailPipeline.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>DNS that is silent, and records that are made to cost much: bounded, counted, and the right reply.</summary>
public sealed class AuthenticationHostileTests(AuthenticationZone zone) : IClassFixture<AuthenticationZone>
{
    [Theory]
    [InlineData("Accept", "250 2.0.0")]
    [InlineData("Defer", "451 4.7.0 Cannot find out now")]
    public async Task DNS_that_never_answers_keeps_nobody_longer_than_the_bound(string policy, string reply)
    {
        await using var silent = new SilentDnsServer();
        await using var host = await AuthenticationZone.StartAsync($"{silent.EndPoint}", "Enforce", ("MaxTime", "00:00:00.5"), ("Dmarc:WhenUnknown", policy));
        using var bounds = host.Metric<long>("mailpipeline.ingress.authentication_bounds");
        await using var client = await AuthenticationZone.AsAsync(host, AuthenticationZone.Bad);
        Assert.StartsWith(reply, await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net"), StringComparison.Ordinal);
        Assert.Equal("time", Assert.Single(bounds.GetMeasurementSnapshot()).Tags["bound"]);
        if (policy == "Accept")
        {
            Assert.Equal(
                "mx.example.com; spf=temperror smtp.mailfrom=ann@example.net; spf=temperror smtp.helo=mx.example.net; dkim=none; dmarc=temperror header.from=example.net",
                await AuthenticationZone.FieldAsync(host));
        }
    }

    [Theory]
    [InlineData("loop.example.org", "look_ups")]
    [InlineData("void.example.org", "void_look_ups")]
    [InlineData("large.example.org", "record_size")]
    public async Task A_record_that_would_cost_too_much_is_a_permanent_error(string domain, string bound)
    {
        await using var host = await zone.StartAsync("Mark");
        using var bounds = host.Metric<long>("mailpipeline.ingress.authentication_bounds");
        await using var client = await AuthenticationZone.AsAsync(host, AuthenticationZone.Bad);
        await AuthenticationZone.SendAsync(client, $"ann@{domain}", $"ann@{domain}");
        Assert.StartsWith($"mx.example.com; spf=permerror smtp.mailfrom=ann@{domain};", await AuthenticationZone.FieldAsync(host), StringComparison.Ordinal);
        Assert.Equal(bound, Assert.Single(bounds.GetMeasurementSnapshot()).Tags["bound"]);
    }

    [Fact]
    public async Task A_message_asks_so_many_questions_and_no_more()
    {
        await using var host = await zone.StartAsync("Mark", ("MaxQuestions", "20"));
        using var bounds = host.Metric<long>("mailpipeline.ingress.authentication_bounds");
        await using var client = await AuthenticationZone.AsAsync(host, AuthenticationZone.Bad);
        await AuthenticationZone.SendAsync(client, "ann@many.example.org", "ann@many.example.org");
        Assert.StartsWith("mx.example.com; spf=temperror smtp.mailfrom=ann@many.example.org;", await AuthenticationZone.FieldAsync(host), StringComparison.Ordinal);
        Assert.Equal("questions", Assert.Single(bounds.GetMeasurementSnapshot()).Tags["bound"]);
    }

    /// <summary>A stranger's records may cost what RFC 7208 allows: what the author's domain asks for is found out and done all the same.</summary>
    [Theory]
    [InlineData("eve@all.example.org", "all.example.org", "", 30)]
    [InlineData("eve@nothing.example.org", "all.example.org", "", 30)]
    [InlineData("eve@nothing.example.org", "mx.example.net", "signed", 4)]
    public async Task What_one_method_asks_takes_nothing_from_another(string sender, string helo, string kind, int questions)
    {
        await using var counting = new SilentDnsServer(_ => zone.EndPoint);
        await using var host = await AuthenticationZone.StartAsync($"{counting.EndPoint}", "Enforce", ("MaxQuestions", $"{questions}"));
        await using var client = await AuthenticationZone.AsAsync(host, AuthenticationZone.Bad, helo);
        var signatures = kind.Length == 0 ? "" : string.Concat(Enumerable.Range(0, 8).Select(i =>
            $"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s{i}; h=from; bh=AAAA; b=AAAA\r\n"));
        await client.BeginAsync(sender);
        // A client has all the time that it wants before its content.
        await Eventually.TrueAsync(() => counting.Questions >= questions || kind.Length > 0, TimeSpan.FromSeconds(20));
        await client.SendAsync($"From: ann@example.net\r\n{signatures}Subject: x\r\n\r\ntext\r\n.\r\n");
        Assert.StartsWith("550 5.7.26", await client.ReplyAsync(), StringComparison.Ordinal);
    }

    /// <summary>Not what DNS kept back, but what the message itself has used up.</summary>
    [Theory]
    [InlineData("ann@a.b.c.quarantine.example.org", "", 1)]
    [InlineData("ann@quarantine.example.org", "signed", 4)]
    public async Task What_a_message_has_spent_itself_is_never_taken(string from, string kind, int questions)
    {
        await using var host = await zone.StartAsync("Enforce", ("MaxQuestions", $"{questions}"));
        await using var client = await AuthenticationZone.AsAsync(host, AuthenticationZone.Bad);
        var signatures = kind.Length == 0 ? "" : string.Concat(Enumerable.Range(0, 8).Select(i =>
            $"DKIM-Signature: v=1; a=rsa-sha256; d=quarantine.example.org; s=s{i}; h=from; bh={Convert.ToBase64String(System.Security.Cryptography.SHA256.HashData("text\r\n"u8))}; b=AAAA\r\n"));
        Assert.StartsWith(
            "451 4.7.0", await AuthenticationZone.SendAsync(client, "eve@nothing.example.org", from, $"{signatures}Subject: x\r\n\r\ntext"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_may_be_a_pass_is_put_off_where_it_would_be_refused_else()
    {
        await using var dns = await DnsServer.StartAsync("""
            example.net. TXT "v=spf1 a:later.example.net -all"
            _dmarc.example.net. TXT "v=DMARC1; p=reject"
            """, TestContext.Current.CancellationToken);
        await using var half = new SilentDnsServer(name => name == "later.example.net" ? null : dns.EndPoint);
        await using var host = await AuthenticationZone.StartAsync($"{half.EndPoint}", "Enforce", ("MaxTime", "00:00:02"));
        await using var client = await AuthenticationZone.AsAsync(host, AuthenticationZone.Good);
        Assert.StartsWith("451 4.7.0", await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_with_a_hundred_long_signatures_is_taken_where_all_others_put_in_front_what_they_may()
    {
        const int Piece = 900;
        await using var milter = FakeMilter.Start((step, _) => step != 'E' ? [FakeMilter.Packet('c')] :
        [
            .. Enumerable.Range(0, 16 * 1024 / (Piece + 20)).Select(_ => FakeMilter.Packet('h', $"X-Filter\0{new string('f', Piece)}\0")),
            FakeMilter.Packet('c'),
        ]);
        var settings = new List<(string, string)>
        {
            ("Ingress:Checks:Signatures:MaxSignatures", "100"), ("MaxQuestions", "1000"),
            ("Ingress:Filters:0:Name", "full"), ("Ingress:Filters:0:Address", milter.Address), ("Ingress:Filters:0:ChangesHeaders", "true"),
        };
        for (var rule = 0; rule < 16 * 1024 / (Piece + 20); rule++)
        {
            var name = $"Ingress:Checks:HeaderRules:Rules:{rule}";
            settings.AddRange(
                [($"{name}:Name", $"rule{rule}"), ($"{name}:Field", "Subject"), ($"{name}:Verdict", "Tag"), ($"{name}:AddField", $"X-Rule-{rule}: {new string('r', Piece)}")]);
        }

        await using var host = await zone.StartAsync("Mark", [.. settings]);
        await using var client = await AuthenticationZone.AsAsync(host, AuthenticationZone.Good);
        var label = new string('x', 60);
        // A version that is not known: nobody is asked for its key, and what it says of itself is told all the same.
        var signature = $"DKIM-Signature: v=2; d={label}.{label}.{label}.example.org; s={label}.{label}.{label};\r\n a={new string('a', 100)};\r\n b=AAAAAAAA\r\n";
        Assert.StartsWith(
            "250 2.0.0",
            await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net", $"Subject: x\r\n{string.Concat(Enumerable.Repeat(signature, 100))}\r\ntext"),
            StringComparison.Ordinal);
        var field = await AuthenticationZone.FieldAsync(host);
        Assert.StartsWith("mx.example.com; spf=pass smtp.mailfrom=ann@example.net; spf=pass smtp.helo=mx.example.net; dkim=permerror ", field, StringComparison.Ordinal);
        Assert.Matches(@"dkim=permerror \([0-9]+ more signatures are left out\) ", field);
        // What decides is never left out.
        Assert.EndsWith("; dmarc=pass (p=reject) header.from=example.net policy.dmarc=none", field, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_begins_and_gives_up_leaves_nothing_behind()
    {
        await using var host = await zone.StartAsync("Enforce");
        await using (var client = await AuthenticationZone.AsAsync(host, AuthenticationZone.Good))
        {
            for (var i = 0; i < 20; i++)
            {
                await client.SayAsync($"MAIL FROM:<ann@d{i}.example.net>", "250");
                await client.SayAsync("RSET", "250");
            }

            await client.SayAsync("MAIL FROM:<ann@example.net>", "250");
        }

        await host.NoSessionsAsync();
        await using var next = await AuthenticationZone.AsAsync(host, AuthenticationZone.Good);
        Assert.StartsWith("250", await AuthenticationZone.SendAsync(next, "ann@example.net", "ann@example.net"), StringComparison.Ordinal);
    }
}
