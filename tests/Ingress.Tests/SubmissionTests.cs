using System.Net.Sockets;
using System.Text;
using MailPipeline.Testing;

namespace MailPipeline.Ingress.Tests;

public sealed class SubmissionTests
{
    private static readonly string s_right = Convert.ToBase64String("\0ann@example.com\0secret"u8);
    private static readonly string s_wrong = Convert.ToBase64String("\0ann@example.com\0wrong"u8);

    [Fact]
    public async Task Authenticated_users_send_anywhere_and_the_trace_says_so()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com", "carol@example.net");
        await client.SayAsync("x: y\r\n\r\n.", "250 2.0.0");
        var message = await host.NextHintAsync();
        Assert.Contains("with ESMTPSA id", Encoding.Latin1.GetString(await host.ContentAsync(message.MessageId)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_is_submitted_without_tls_and_authentication()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.ConnectAsync(host.Submission);
        var ehlo = await client.SayAsync("EHLO x", "250");
        Assert.Contains("STARTTLS", ehlo, StringComparison.Ordinal);
        Assert.DoesNotContain("AUTH", ehlo, StringComparison.Ordinal);
        await client.SayAsync("MAIL FROM:<ann@example.com>", "530 5.7.0");
        await client.SayAsync("AUTH PLAIN " + s_right, "538 5.7.11");
        await client.SayAsync("STARTTLS", "220");
        await client.StartTlsAsync();
        ehlo = await client.SayAsync("EHLO x", "250");
        Assert.Contains("AUTH LOGIN PLAIN", ehlo, StringComparison.Ordinal);
        Assert.DoesNotContain("STARTTLS", ehlo, StringComparison.Ordinal);
        await client.SayAsync("MAIL FROM:<ann@example.com>", "530 5.7.0 Authentication required");
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("true", true)]
    [InlineData("false", false)]
    public async Task The_old_form_of_AUTH_is_a_setting_of_the_listener(string? setting, bool isOffered)
    {
        await using var host = await IngressHost.StartAsync(setting is null ? null : new Dictionary<string, string> { ["Ingress:Listeners:2:OldAuth"] = setting });
        await using var client = await Client.OpenAsync(host.Submissions);
        await client.StartTlsAsync();
        await client.ExpectAsync("220");
        Assert.Equal(isOffered, (await client.SayAsync("EHLO x", "250")).Contains("AUTH=LOGIN PLAIN", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Implicit_tls_needs_no_command()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.OpenAsync(host.Submissions);
        await client.StartTlsAsync();
        await client.ExpectAsync("220");
        await client.SayAsync("EHLO x", "250");
        await client.SayAsync("STARTTLS", "503");
        await client.SayAsync("AUTH LOGIN", "334");
        await client.SayAsync(Convert.ToBase64String("ann@example.com"u8), "334");
        await client.SayAsync(Convert.ToBase64String("secret"u8), "235");
        await client.BeginAsync("sales@example.com");
        await client.SayAsync("x: y\r\n\r\n.", "250 2.0.0");
        await client.SayAsync("QUIT", "221");
        // TLS is ended properly, so that nobody can cut a conversation off unnoticed.
        await client.ExpectEndAsync();
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData("smtp", false)]
    [InlineData(null, true)]
    [InlineData("smtp", true)]
    public async Task TLS_with_CBC_is_spoken_where_the_operator_allows_it(string? startTls, bool allowed)
    {
        const string Cbc = "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA";
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Tls:AllowCbc"] = allowed ? "true" : "false" });
        var server = startTls is null ? host.Submissions : host.Submission;
        Assert.Equal(allowed, await OpenSslClient.HandshakeAsync(server, Cbc, startTls, Deadline.Token) is not null);
        Assert.Equal(
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            await OpenSslClient.HandshakeAsync(server, "ECDHE-ECDSA-AES128-GCM-SHA256", startTls, Deadline.Token));
    }

    [Fact]
    public async Task Wrong_credentials_are_counted_and_end_the_session()
    {
        await using var host = await IngressHost.StartAsync();
        var refusals = host.Metric<long>("mailpipeline.ingress.refusals");
        await using var client = await Client.GreetedAsync(host.Submission);
        await client.SayAsync("STARTTLS", "220");
        await client.StartTlsAsync();
        await client.SayAsync("EHLO x", "250");
        await client.SayAsync("AUTH PLAIN " + s_wrong, "535 5.7.8");
        await client.SayAsync("AUTH PLAIN " + Convert.ToBase64String("\0nobody@example.com\0secret"u8), "535 5.7.8");
        // RFC 5321 §3.8: a reply to the command, then the last word.
        await client.SayAsync("AUTH PLAIN " + s_wrong, "535 5.7.8");
        await client.ExpectAsync("421 4.7.0");
        await client.ExpectEndAsync();
        Assert.Equal(3, refusals.GetMeasurementSnapshot().Count(measurement => (string?)measurement.Tags["command"] == "AUTH"));
    }

    [Fact]
    public async Task A_response_longer_than_any_exchange_needs_is_refused_as_such()
    {
        await using var host = await IngressHost.StartAsync();
        var refusals = host.Metric<long>("mailpipeline.ingress.refusals");
        await using var client = await Client.GreetedAsync(host.Submission);
        await client.SayAsync("STARTTLS", "220");
        await client.StartTlsAsync();
        await client.SayAsync("EHLO x", "250");
        await client.SayAsync("AUTH PLAIN", "334");
        await client.SayAsync(new string('A', 1 << 20), "500 5.5.6");
        await client.SayAsync("AUTH PLAIN " + new string('A', 1 << 20), "500 5.5.6");
        await client.SayAsync("AUTH PLAIN " + s_right, "235");
        Assert.Equal(2, refusals.GetMeasurementSnapshot().Count(measurement => (string?)measurement.Tags["command"] == "AUTH"));
    }

    [Fact]
    public async Task An_mx_listener_that_takes_passwords_relays_for_the_authenticated_too()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Listeners:0:Auth"] = "true" });
        await using var client = await Client.AuthenticatedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<ann@example.com>", "250");
        await client.SayAsync("RCPT TO:<carol@example.net>", "250");
    }

    /// <summary>CVE-2011-0411 and its kin: what was said in the clear must not be heard under TLS.</summary>
    [Fact]
    public async Task Commands_injected_behind_starttls_are_dropped()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SendAsync("STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<ann@example.com>\r\n");
        await client.ExpectAsync("220");
        await client.StartTlsAsync();
        await client.SayAsync("RCPT TO:<ann@example.com>", "503 5.5.1 Send EHLO");
        await client.SayAsync("EHLO x", "250");
        await client.SayAsync("RCPT TO:<ann@example.com>", "503 5.5.1 Send MAIL");
    }

    [Fact]
    public async Task Half_a_line_before_tls_is_no_part_of_a_line_under_tls()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SendAsync("STARTTLS\r\nNOO");
        await client.ExpectAsync("220");
        await client.StartTlsAsync();
        await client.SayAsync("P", "500");
    }

    [Fact]
    public async Task A_handshake_that_is_none_ends_the_session_and_nothing_else()
    {
        await using var host = await IngressHost.StartAsync();
        var broken = host.Metric<long>("mailpipeline.ingress.sessions_broken");
        await using (var client = await Client.GreetedAsync(host.Mx))
        {
            await client.SayAsync("STARTTLS", "220");
            await client.SendAsync("EHLO this is not TLS at all, not even a little, whatever you think of it\r\n");
            while (await client.Socket.ReceiveAsync(new byte[1000], SocketFlags.None, Deadline.Token) > 0)
            {
            }
        }

        await host.NoSessionsAsync();
        Assert.Contains(broken.GetMeasurementSnapshot(), measurement => (string?)measurement.Tags["reason"] == "tls_failed");
        await using var next = await Client.GreetedAsync(host.Mx);
    }

    [Fact]
    public async Task Large_content_passes_under_tls()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com");
        var content = Encoding.ASCII.GetBytes("Date: x\r\nMessage-ID: <1@x>\r\nFrom: ann@example.com\r\n\r\n" + string.Concat(Enumerable.Range(0, 200_000).Select(i => $".line {i}\r\n")));
        await client.SendAsync(DotStuffing.Stuff(content));
        await client.SayAsync(".", "250 2.0.0");
        Assert.Equal(content, await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId));
    }
}
