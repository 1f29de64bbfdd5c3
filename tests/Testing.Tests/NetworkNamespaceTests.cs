using System.Net;

namespace MailPipeline.Testing.Tests;

public sealed class NetworkNamespaceTests
{
    [Fact]
    public async Task A_cut_lets_nothing_through_in_one_direction_and_all_in_the_other()
    {
        var obstacle = await NetworkNamespace.FindObstacleAsync();
        Assert.SkipWhen(obstacle is not null, obstacle ?? "");
        await using var one = await NetworkNamespace.CreateAsync();
        await using var other = await NetworkNamespace.CreateAsync();
        var (ofOne, ofOther) = await one.LinkAsync(other);
        Assert.True(await PassesAsync(one, other, ofOther));
        await one.CutAsync(other);
        Assert.False(await PassesAsync(one, other, ofOther));
        Assert.True(await PassesAsync(other, one, ofOne));
        await one.HealAsync(other);
        Assert.True(await PassesAsync(one, other, ofOther));
    }

    /// <summary>Whether a datagram comes through.</summary>
    private static async Task<bool> PassesAsync(NetworkNamespace from, NetworkNamespace to, IPAddress address)
    {
        await using var listener = Start(to, "-u", "-c",
            $"import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('{address}', 5000)); print('listening'); s.settimeout(5); s.recv(10)");
        await listener.WaitUntilAsync(
            _ => Task.FromResult(listener.Output.Contains("listening", StringComparison.Ordinal)), TimeSpan.FromSeconds(60), "listener",
            TestContext.Current.CancellationToken);
        await using var sender = Start(from, "-c", $"import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('{address}', 5000))");
        await sender.WaitForExitAsync(TestContext.Current.CancellationToken);
        await listener.WaitForExitAsync(TestContext.Current.CancellationToken);
        return listener.ExitCode == 0;
    }

    private static ServerProcess Start(NetworkNamespace network, params string[] arguments) =>
        ServerProcess.Start(network.Enter.Program, [.. network.Enter.Arguments, DebianProgram.Find("python3", "python3"), .. arguments]);
}
