using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Orleans.Serialization;

namespace MailPipeline.Queue.Tests;

public sealed class SiloFailureTests
{
    [Fact]
    public void A_store_that_is_away_for_one_silo_is_told_to_the_other_as_such()
    {
        using var services = new ServiceCollection().AddSerializer(QueueHosting.ConfigureSerializer).BuildServiceProvider();
        var serializer = services.GetRequiredService<Serializer>();
        var failure = new StorageUnavailableException(StorageFault.Unavailable, "away", new NpgsqlException("refused"));
        var told = Assert.IsType<StorageUnavailableException>(serializer.Deserialize<Exception>(serializer.SerializeToArray<Exception>(failure)));
        Assert.Equal("away", told.Message);
    }
}
