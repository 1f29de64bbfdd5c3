using System.Net;
using System.Net.Sockets;
using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>A start that cannot work ends at once, with one line that names the setting and what is allowed.</summary>
public sealed class BadStartTests : IDisposable
{
    private readonly TempFolder _folder = new("start");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("--Queue:RetryJitter=7", "Queue:RetryJitter")]
    [InlineData("--Queue:MaxAge=soon", "Queue:MaxAge")]
    [InlineData("--Delivery:Port=99999", "Delivery:Port")]
    [InlineData("--Dns:Servers:0=nonsense", "Dns:Servers")]
    [InlineData("--Mailbox:MaxConnections=0", "Mailbox:MaxConnections")]
    [InlineData("--Mailbox:Listeners:0:Port=70000", "Mailbox:Listeners:0")]
    [InlineData("--Ingress:Listeners:0:Port=70000", "Ingress:Listeners:0")]
    [InlineData("--Ingress:Listeners:0:Kind=Nonsense", "Ingress:Listeners:0")]
    [InlineData("--MailStore:ClaimLease=-1", "MailStore:ClaimLease")]
    [InlineData("--Nonsense:Key=1", "Nonsense")]
    [InlineData("--ConnectionStrings:maildb=Nonsense", "maildb")]
    public async Task A_bad_setting_is_named(string setting, string named)
    {
        await using var server = new StandaloneProcess(_folder["data"], setting);
        await AssertEndsAsync(server, named);
    }

    [Fact]
    public async Task A_port_in_use_is_named()
    {
        foreach (var port in new[] { 2525, 2587, 2110, 8080 })
        {
            await using var server = new StandaloneProcess(_folder["data"]);
            using var other = new TcpListener(IPAddress.Loopback, port + server.PortOffset);
            other.Start();
            await AssertEndsAsync(server, $":{(port == 8080 ? "Port" : port == 2587 ? "1:Port" : "0:Port")} is {port + server.PortOffset}, a port in use");
        }
    }

    [Fact]
    public async Task Two_listeners_of_ours_on_one_port_are_both_named()
    {
        await using var server = new StandaloneProcess(_folder["data"], "--Ingress:Listeners:0:Port=29998", "--Ingress:Listeners:1:Port=29998");
        await AssertEndsAsync(server, "Ingress:Listeners:1:Port is 29998, and so is Ingress:Listeners:0:Port");
    }

    [Fact]
    public async Task A_data_folder_that_is_a_file_is_named()
    {
        await using var server = new StandaloneProcess(_folder.Write("file", ""));
        await AssertEndsAsync(server, "--data");
    }

    [Fact]
    public async Task A_data_folder_that_cannot_be_written_is_named()
    {
        // Also root cannot write there.
        await using var server = new StandaloneProcess("/proc/mailpipeline");
        await AssertEndsAsync(server, "--data");
    }

    [Fact]
    public async Task A_database_that_is_none_is_named()
    {
        Directory.CreateDirectory(_folder["data"]);
        await File.WriteAllTextAsync(Path.Combine(_folder["data"], "mail.db"), new string('x', 10_000), Cancellation);
        await using var server = new StandaloneProcess(_folder["data"]);
        await AssertEndsAsync(server, "mail.db");
    }

    [Fact]
    public async Task A_second_server_on_the_same_folder_is_refused()
    {
        await using var first = new StandaloneProcess(_folder["data"]);
        await first.StartAsync(Cancellation);
        await using var second = new StandaloneProcess(_folder["data"]);
        await AssertEndsAsync(second, "data");
        Assert.True(await first.IsReadyAsync(Cancellation));
        Assert.True(await first.StopAsync(), first.Process.Output);
    }

    private static async Task AssertEndsAsync(StandaloneProcess server, string named)
    {
        await server.LaunchAsync();
        await Eventually.TrueAsync(
            async () => server.Process.HasExited || await server.IsReadyAsync(Cancellation), TimeSpan.FromSeconds(30), () => server.Process.Output, Cancellation);
        Assert.True(server.Process.HasExited, $"It started:\n{server.Process.Output}");
        await server.Process.WaitForExitAsync(Cancellation);
        var output = server.Process.Output;
        Assert.Equal(2, server.Process.ExitCode);
        Assert.Contains(named, output, StringComparison.Ordinal);
        Assert.True(output.Split('\n').Length <= 5 && !output.Contains("   at ", StringComparison.Ordinal), output);
    }
}
