using MailPipeline.Testing;

namespace MailPipeline.Commands.Tests;

/// <summary>"mail check", on a real DNS server and without a store.</summary>
public sealed class CheckCommandTests : IAsyncLifetime
{
    private readonly CommandRun _run = new();
    private DnsServer? _dns;

    private string Dns => $"--dns {_dns!.EndPoint}";

    public async ValueTask InitializeAsync() => _dns = await DnsServer.StartAsync("""
        example.org. TXT "v=spf1 include:_spf.example.org -all exp=why.example.org"
        _spf.example.org. TXT "v=spf1 ip4:192.0.2.0/28 ~all"
        why.example.org. TXT "Not from %{i}"
        example.org. MX 10 mx.example.org.
        mx.example.org. A 192.0.2.1
        mx.example.org. TXT "v=spf1 a -all"
        _dmarc.example.org. TXT "v=DMARC1; p=reject"
        """, TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        _run.Dispose();
        if (_dns is not null)
            await _dns.DisposeAsync();
    }

    [Fact]
    public async Task Each_step_to_what_SPF_says_is_shown() =>
        (await _run.RunAsync($"check spf --ip 192.0.2.1 --helo mx.example.org --from ann@example.org {Dns}")).ShouldBeDone("""
            example.org: v=spf1 include:_spf.example.org -all exp=why.example.org
              _spf.example.org: v=spf1 ip4:192.0.2.0/28 ~all
              _spf.example.org: pass by ip4:192.0.2.0/28
            example.org: include:_spf.example.org: matches
            example.org: pass by include:_spf.example.org
            spf=pass smtp.mailfrom=example.org by include:_spf.example.org

            mx.example.org: v=spf1 a -all
            mx.example.org: a: matches
            mx.example.org: pass by a
            spf=pass smtp.helo=mx.example.org by a
            """.ReplaceLineEndings("\n"));

    [Fact]
    public async Task The_same_as_JSON()
    {
        var (exitCode, json) = await _run.RunJsonAsync($"check spf --ip 203.0.113.9 --helo mx.example.org --from ann@example.org {Dns}");
        var mailFrom = json.GetProperty("mailFrom");
        Assert.Equal((0, "senderChecked", "fail", "-all", "Not from 203.0.113.9", 1), (
            exitCode, json.GetProperty("result").GetString(), mailFrom.GetProperty("result").GetString(), mailFrom.GetProperty("mechanism").GetString(),
            mailFrom.GetProperty("explanation").GetString(), mailFrom.GetProperty("lookUps").GetInt32()));
        Assert.Equal("_spf.example.org", mailFrom.GetProperty("steps")[1].GetProperty("domain").GetString());
    }

    [Fact]
    public async Task A_message_has_its_field_and_every_step_to_it()
    {
        var file = Path.Combine(_run.Folder, "message.eml");
        await File.WriteAllTextAsync(file, "Subject: x\nFrom: Ann <ann@news.example.org>\n\nFrom: eve@example.net\n", TestContext.Current.CancellationToken);
        var command = $"check message {file} --ip 192.0.2.1 --helo mx.example.org --from ann@example.org --authserv-id mx.example.com {Dns}";
        var found = await _run.RunAsync(command);
        Assert.Equal((0, ""), (found.ExitCode, found.Error));
        Assert.Contains("dmarc: From names news.example.org\ndmarc: _dmarc.news.example.org: no DMARC record\ndmarc: _dmarc.example.org: v=DMARC1; p=reject\n"
            + "dmarc: SPF of example.org: pass, aligned with news.example.org\n", found.Output, StringComparison.Ordinal);
        Assert.EndsWith("""
            Authentication-Results: mx.example.com;
                spf=pass smtp.mailfrom=ann@example.org;
                spf=pass smtp.helo=mx.example.org;
                dkim=none;
                dmarc=pass (p=reject) header.from=news.example.org policy.dmarc=none
            """.ReplaceLineEndings("\n"), found.Output, StringComparison.Ordinal);

        var (_, json) = await _run.RunJsonAsync(command.Replace("192.0.2.1", "203.0.113.9", StringComparison.Ordinal));
        Assert.Equal(("messageChecked", "reject", "dmarc"), (
            json.GetProperty("result").GetString(), json.GetProperty("policy").GetString(), json.GetProperty("methods")[3].GetProperty("method").GetString()));
    }

    [Fact]
    public async Task What_a_domain_lacks_is_said_with_the_records_to_publish()
    {
        var found = await _run.RunAsync($"check domain example.org {Dns}");
        Assert.Equal((0, ""), (found.ExitCode, found.Error));
        Assert.Contains("MX           ok       example.org", found.Output, StringComparison.Ordinal);
        Assert.Contains("PTR          missing  1.2.0.192.in-addr.arpa", found.Output, StringComparison.Ordinal);
        Assert.Contains("To be published:\n  1.2.0.192.in-addr.arpa. PTR mx.example.org.\n", found.Output, StringComparison.Ordinal);
        var (_, json) = await _run.RunJsonAsync($"check domain example.org --selector s1 {Dns}");
        var states = json.GetProperty("items").EnumerateArray().ToDictionary(item => item.GetProperty("kind").GetString()!, item => item.GetProperty("state").GetString());
        Assert.Equal(("ok", "ok", "ok", "ok", "missing", "missing"), (states["mx"], states["spf"], states["spfOfHost"], states["dmarc"], states["dkim"], states["mtaSts"]));
    }

    [Theory]
    [InlineData("check spf --ip 192.0.2 --from ann@example.org", "'192.0.2' is not an IP address")]
    [InlineData("check spf --ip 192.0.2.1 --from ann", "'ann' is not a mail address with a domain, nor <>")]
    [InlineData("check domain example..org", "'example..org' is not a domain name")]
    [InlineData("check spf --from ann@example.org", "Option '--ip' is required")]
    [InlineData("check psl --renew", "--renew needs the FILE into which the list goes")]
    [InlineData("check psl list --renew --from http://example.org/list", "'http://example.org/list' is not an https address")]
    [InlineData("check spf --ip 192.0.2.1 --dns nowhere", "--dns is 'nowhere'; it must be an address or address:port, for example 127.0.0.1:5353")]
    [InlineData("check spf --ip 192.0.2.1 --Dns:Retries=99", "Dns:Retries is '99'")]
    public async Task What_makes_no_sense_is_refused(string line, string expected)
    {
        var found = await _run.RunAsync(line);
        Assert.Equal(2, found.ExitCode);
        Assert.StartsWith(expected, found.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_not_done()
    {
        var found = await _run.RunAsync($"check message {Path.Combine(_run.Folder, "nothing")} --ip 192.0.2.1 {Dns}");
        Assert.Equal(1, found.ExitCode);
        Assert.Contains("cannot be used", found.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_list_that_is_built_in_says_of_which_day_it_is()
    {
        Assert.StartsWith("The Public Suffix List that is built in is of 2", (await _run.RunAsync("check psl")).Output, StringComparison.Ordinal);
        var (exitCode, json) = await _run.RunJsonAsync("check psl");
        Assert.Equal((0, "suffixList", ""), (exitCode, json.GetProperty("result").GetString(), json.GetProperty("file").GetString()));
    }
}
