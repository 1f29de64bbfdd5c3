using System.Net;
using Microsoft.Extensions.Logging.Testing;

namespace MailPipeline.ServiceDefaults.Tests;

public sealed class OwnHostNameTests
{
    [Theory]
    [InlineData("mx.example.org", null, "192.0.2.1", "mx.example.org")]
    [InlineData("MX.Example.org.", null, "192.0.2.1", "mx.example.org")]
    [InlineData("vm", "vm.example.org", "192.0.2.1", "vm.example.org")]
    [InlineData("vm", "vm", "192.0.2.1", "[192.0.2.1]")]
    [InlineData("vm", null, "2001:db8::1", "[IPv6:2001:db8::1]")]
    [InlineData("vm", "vm.localdomain", "192.0.2.1", "[192.0.2.1]")]
    [InlineData("vm.local", "localhost", "192.0.2.1", "[192.0.2.1]")]
    [InlineData("queue-0", "queue-0.queue.mail.svc.cluster.local", "10.1.2.3", "[10.1.2.3]")]
    [InlineData("vm", "10.0.0.1", "192.0.2.1", "[192.0.2.1]")]
    [InlineData("my_vm", "my_vm.example.org", "192.0.2.1", "[192.0.2.1]")]
    public void A_full_name_goes_before_an_address_and_a_bare_name_is_none(string machine, string? byDns, string address, string expected)
    {
        var name = OwnHostName.Find(machine, _ => byDns, () => IPAddress.Parse(address));
        Assert.Equal(expected, name.Text);
        Assert.Equal(expected.StartsWith('['), name.IsAddress);
    }

    [Fact]
    public void This_machine_has_a_name_that_means_something_to_others() =>
        Assert.Matches(@"^([a-z0-9-]+(\.[a-z0-9-]+)+|\[(\d+\.){3}\d+\]|\[IPv6:[0-9a-f:]+\])$", OwnHostName.Default.Text);

    [Theory]
    [InlineData("A:HostName", "B:HostName", null, "Not set: A:HostName, B:HostName. ")]
    [InlineData("A:HostName", "B:HostName", "A:Hostname", "Not set: B:HostName. ")]
    public async Task What_does_not_name_this_system_is_said_once_at_the_start(string first, string second, string? set, string warning)
    {
        var builder = DefaultsHost.CreateBuilder(set is null ? [] : [(set, "mx.example.org")]);
        var log = new FakeLogger<OwnHostNameWarning>();
        builder.Services.AddHostNameSetting(first).AddHostNameSetting(second).AddSingleton<ILogger<OwnHostNameWarning>>(log);
        var (app, client) = await DefaultsHost.StartAsync(builder);
        await using var owned = app;
        using var ownedClient = client;
        var record = Assert.Single(log.Collector.GetSnapshot());
        Assert.Equal(LogLevel.Warning, record.Level);
        Assert.StartsWith($"{warning}This system calls itself {OwnHostName.Default.Text}, as DNS ", record.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_is_named_is_not_warned()
    {
        var builder = DefaultsHost.CreateBuilder(("A:HostName", "mx.example.org"));
        var log = new FakeLogger<OwnHostNameWarning>();
        builder.Services.AddHostNameSetting("A:HostName").AddSingleton<ILogger<OwnHostNameWarning>>(log);
        var (app, client) = await DefaultsHost.StartAsync(builder);
        await using var owned = app;
        using var ownedClient = client;
        Assert.Empty(log.Collector.GetSnapshot());
    }
}
